"""What has to be tidied now and then, whoever does it."""

import asyncio
import logging

from ..database import Pool, call

log = logging.getLogger("pgsluice.work")

_SWEEP_SECONDS = 15.0
_EXPIRE_SECONDS = 60.0


class Housekeeping:
    """A hand that drops what dead uploads and ended jobs have left, and what is past its time."""

    # Nobody tells of it: only the clock does.
    words: tuple[str, ...] = ()

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sweep_at = self._expire_at = 0.0

    async def once(self) -> float | None:
        """Sweep and expire, each when it is time to."""
        now = asyncio.get_running_loop().time()
        if now >= self._sweep_at:
            await self._do("sweep")
            await self._do("tell_logins")
            self._sweep_at = now + _SWEEP_SECONDS
        if now >= self._expire_at:
            removed = await self._do("expire")
            # It stops after a while, to hold no lock for long: go on while there is more.
            self._expire_at = now + (
                1.0 if removed["jobs"] or removed["stages"] else _EXPIRE_SECONDS
            )
        return max(0.1, min(self._sweep_at, self._expire_at) - now)

    async def _do(self, name: str) -> dict[str, int]:
        async with self._pool.connection() as conn:
            removed: dict[str, int] = await call(conn, name)
        if any(removed.values()):
            log.info("%s removed %s", name, ", ".join(f"{n} {what}" for what, n in removed.items()))
        return removed
