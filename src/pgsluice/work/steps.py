"""Imports: sessions that ask SQL for the next step until nothing is left."""

import logging
from typing import Any

from ..database import Pool, StatementCancelled, call

log = logging.getLogger("pgsluice.work")

# Sessions elsewhere hold the rest of a job: news tells when they are through; else look again.
_BUSY_SECONDS = 1.0
_LONGEST_WAIT = 1.0
_ENDS = {"finish": "has completed", "failed": "has failed"}


class Steps:
    """A hand for imports: a step at a time, whichever SQL says is next."""

    calm = 0.0  # an import of a hundred records takes less than any calm

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def once(self) -> float | None:
        """Take one step and carry it out."""
        try:
            reply = await self._step()
        except StatementCancelled:
            log.info("a step was cancelled; looking for the next work")
            return 0
        match reply["status"]:
            case "done":
                _tell(reply)
                return 0
            case "busy":
                return _BUSY_SECONDS
            case "wait":
                return max(0.05, min(float(reply["seconds"]), _LONGEST_WAIT))
        return None

    async def _step(self) -> dict[str, Any]:
        async with self._pool.connection() as conn:
            while True:
                reply: dict[str, Any] = await call(conn, "next_step")
                # What is claimed has been committed as begun: now carry it out.
                if reply["status"] != "claimed":
                    return reply


def _tell(reply: dict[str, Any]) -> None:
    """One line for each import that has ended under this worker's hands."""
    if end := _ENDS.get(reply["kind"]):
        log.info("an import %s", end, extra={"fields": {"job_id": reply["job_id"]}})
