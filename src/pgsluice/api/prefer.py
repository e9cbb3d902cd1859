"""`Prefer: wait=N` (RFC 7240): hold the reply until the job has ended, or N seconds."""

import asyncio
import re
from contextlib import suppress
from typing import Any
from uuid import UUID

from .reply import is_running
from .service import Service

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
_LONGEST = 60
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.25
_RARE_LOOK = 1.0  # a worker in this process tells when the job moves


def wanted_wait(prefer: str) -> int | None:
    """The seconds a client is willing to wait, at most 60; None when it did not say."""
    found = _WAIT.search(prefer)
    return min(int(found[1]), _LONGEST) if found else None


async def wait_for_end(service: Service, job: dict[str, Any], seconds: int) -> dict[str, Any]:
    """The job when it has ended, or as it is when the time is up."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, _FIRST_LOOK
    last = _RARE_LOOK if service.settings.worker else _LAST_LOOK
    while is_running(job) and (left := deadline - loop.time()) > 0:
        moved = service.waiting.setdefault(job["job_id"], asyncio.Event())
        with suppress(TimeoutError):
            await asyncio.wait_for(moved.wait(), min(pause, left))
        service.waiting.pop(job["job_id"], None)
        pause = min(pause * 2, last)
        job = await service.job(UUID(job["job_id"]))
    return job
