"""What has to be tidied now and then, whoever does it."""

import asyncio
import logging

from ..database import Pool, call

log = logging.getLogger("pgsluice.work")

_SWEEP_SECONDS = 15.0


class Housekeeping:
    """A hand that drops what dead uploads and ended jobs have left."""

    # Nobody tells of it: only the clock does.
    words: tuple[str, ...] = ()

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._next = 0.0

    async def once(self) -> float | None:
        """Sweep, if it is time to."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return self._next - now
        async with self._pool.connection() as conn:
            await call(conn, "sweep")
        self._next = now + _SWEEP_SECONDS
        return _SWEEP_SECONDS
