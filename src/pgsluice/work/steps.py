"""Imports: sessions that ask SQL for the next step until nothing is left."""

import logging
import time
from typing import Any

from ..database import Connection, Pool, StatementCancelled, call
from ..logins import Logins
from ..memory import resident_bytes
from .news import News

log = logging.getLogger("pgsluice.work")

# Sessions elsewhere hold the rest of a job: news tells when they are through; else look again.
_BUSY_SECONDS = 1.0
_LONGEST_WAIT = 1.0
_ENDS = {"finish": "has completed", "failed": "has failed"}


class Steps:
    """A hand for imports: a step at a time, whichever SQL says is next."""

    calm = 0.0  # an import of a hundred records takes less than any calm
    words = ("work", "step")
    one_by_one = True

    def __init__(self, pool: Pool, news: News, logins: Logins) -> None:
        self._pool = pool
        self._news = news
        self._logins = logins

    async def once(self) -> float | None:
        """Take one step and carry it out."""
        started = time.perf_counter()
        try:
            reply = await self._step()
        except StatementCancelled:
            log.info("a step was cancelled; looking for the next work")
            return 0
        match reply["status"]:
            case "done":
                _tell(reply, time.perf_counter() - started)
                return 0
            case "busy":
                return _BUSY_SECONDS
            case "wait":
                return max(0.05, min(float(reply["seconds"]), _LONGEST_WAIT))
        return None

    async def _step(self) -> dict[str, Any]:
        async with self._pool.connection() as conn:
            reply: dict[str, Any] = await call(conn, "next_step")
            while reply["status"] == "claimed":
                # What is claimed has been committed as begun: now carry it out.
                if reply["kind"] == "step":
                    # A large import has steps for others too.
                    self._news.tell("step")
                reply = await (self._fenced(conn) if "login" in reply else call(conn, "next_step"))
            return reply

    async def _fenced(self, conn: Connection) -> dict[str, Any]:
        """A step of a key with a login: held here, done in a session of that login, noted here."""
        async with conn.transaction():
            reply: dict[str, Any] = await call(conn, "next_step")
            if reply["status"] != "fenced":
                return reply
            fault = await self._logins.carry_out(reply)
            step_id = reply["step"]["step_id"]
            return dict(await call(conn, "fence_close", step_id=step_id, fault=fault))


def _tell(reply: dict[str, Any], seconds: float) -> None:
    """One line for each step: how much, how good, how fast, and at what size of this process."""
    kind, rows = reply["kind"], reply["rows"]
    done, rejected = reply.get("done", 0), reply.get("rejected", 0)
    fields = {
        "job_id": reply["job_id"],
        "resource": reply.get("resource"),
        "step": kind,
        "records": done,
        "good": max(done - rejected, 0),
        "rejected": rejected,
        "error_rate": round(rejected / reply["received"], 6) if reply.get("received") else 0.0,
        "rows_per_second": round(rows / seconds) if rows else None,
        "duration_ms": round(seconds * 1000, 1),
        "rss_mb": round(resident_bytes() / 1e6, 1),
    }
    if why := reply.get("error"):
        fields["error"] = why
    log.info("an import %s", _ENDS.get(kind, f"did a step: {kind}"), extra={"fields": fields})
