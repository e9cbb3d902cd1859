"""Schedules: their ticks become jobs when they are due, once however many workers look."""

import logging
from typing import Any

from ..database import Pool, call

log = logging.getLogger("pgsluice.work")


class Clock:
    """A hand that sleeps until the next tick, or until somebody changes the schedules."""

    words = ("schedule",)

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def once(self) -> float | None:
        """Fire what is due."""
        async with self._pool.connection() as conn:
            reply: dict[str, Any] = await call(conn, "fire_schedules")
        if reply["fired"]:
            log.info("fired %d schedules", reply["fired"])
            return 0
        seconds: float | None = reply["seconds"]
        return seconds
