"""`Prefer: wait=N` (RFC 7240): hold the reply until the job has ended, or N seconds."""

import asyncio
import re
from typing import Any
from uuid import UUID

from .reply import is_running
from .service import Service

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
_LONGEST = 60
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.25


def wanted_wait(prefer: str) -> int | None:
    """The seconds a client is willing to wait, at most 60; None when it did not say."""
    found = _WAIT.search(prefer)
    return min(int(found[1]), _LONGEST) if found else None


async def wait_for_end(service: Service, job: dict[str, Any], seconds: int) -> dict[str, Any]:
    """The job when it has ended, or as it is when the time is up."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, _FIRST_LOOK
    while is_running(job) and (left := deadline - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LAST_LOOK)
        job = await service.job(UUID(job["job_id"]))
    return job
