"""Imports: sessions that ask SQL for the next step until nothing is left."""

import logging
from typing import Any

from ..database import Pool, StatementCancelled, call
from .news import News

log = logging.getLogger("pgsluice.work")

# Sessions elsewhere hold the rest of a job: news tells when they are through; else look again.
_BUSY_SECONDS = 1.0
_LONGEST_WAIT = 1.0
_ENDS = ("finish", "failed")


class Steps:
    """A hand for imports: a step at a time, whichever SQL says is next."""

    def __init__(self, pool: Pool, news: News) -> None:
        self._pool = pool
        self._news = news

    async def once(self) -> float | None:
        """Take one step and carry it out."""
        try:
            reply = await self._step()
        except StatementCancelled:
            log.info("a step was cancelled; looking for the next work")
            return 0
        match reply["status"]:
            case "done":
                self._tell(reply)
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

    def _tell(self, reply: dict[str, Any]) -> None:
        self._news.tell("work")
        self._news.tell(f"job {reply['job_id']}")
        if reply["kind"] in _ENDS:
            log.info("import %s: %s", reply["job_id"], reply["kind"])
