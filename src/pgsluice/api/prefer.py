"""`Prefer: wait=N` (RFC 7240): hold the reply until the job has ended, or N seconds."""

import asyncio
import re
from typing import Any
from uuid import UUID

from .reply import is_running
from .service import Service

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
_LONGEST = 60
_LOOK_SECONDS = 1.5  # news can be lost in a crash: look all the same


def wanted_wait(prefer: str) -> int | None:
    """The seconds a client is willing to wait, at most 60; None when it did not say."""
    found = _WAIT.search(prefer)
    return min(int(found[1]), _LONGEST) if found else None


async def wait_for_end(service: Service, job: dict[str, Any], seconds: int) -> dict[str, Any]:
    """The job when it has ended, or as it is when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    async with service.news.subscribe(f"job {job['job_id']}") as told:
        told.wake()  # it may have ended before anybody listened
        while not service.closing and is_running(job) and (left := deadline - loop.time()) > 0:
            await told.wait(min(left, _LOOK_SECONDS))
            job = await service.job(UUID(job["job_id"]))
    return job
