"""The file store kept tidy: expired files, those of deleted jobs, and what dead workers left."""

import asyncio
import logging

from ..database import Pool, call
from ..store import Store, StoreError

log = logging.getLogger("pgsluice.work")

_STALE_SECONDS = 15.0
_ORPHAN_SECONDS = 600.0
_FAILED_SECONDS = 60.0
# An unfinished file whose worker died; younger ones may belong to work that is being taken up.
_ORPHAN_AGE = 3600.0
_AT_ONCE = 500


class Files:
    """A hand that removes files which nobody needs any more."""

    # Nobody tells of it: only the clock does.
    words: tuple[str, ...] = ()

    def __init__(self, pool: Pool, store: Store) -> None:
        self._pool = pool
        self._store = store
        self._next = 0.0
        self._next_orphans = 0.0

    async def once(self) -> float | None:
        """Remove some files, if it is time to."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return self._next - now
        pause = _STALE_SECONDS
        try:
            if await self._remove_stale() == _AT_ONCE:
                return 0
            if now >= self._next_orphans:
                self._next_orphans = now + _ORPHAN_SECONDS
                await self._remove_orphans()
        except StoreError as exc:
            pause = _FAILED_SECONDS
            log.warning("files are not removed yet: %s", exc)
        self._next = now + pause
        return pause

    async def _remove_stale(self) -> int:
        async with self._pool.connection() as conn:
            paths: list[str] = await call(conn, "stale_files", limit=_AT_ONCE)
        if paths:
            await self._store.remove(paths)
            async with self._pool.connection() as conn:
                await call(conn, "forget_files", paths=paths)
            log.info("%s files are out of the store", len(paths))
        return len(paths)

    async def _remove_orphans(self) -> None:
        async with self._pool.connection() as conn:
            prefix: str = await call(conn, "store_prefix")
        found = await self._store.older(prefix, _ORPHAN_AGE)
        for first in range(0, len(found), _AT_ONCE):
            async with self._pool.connection() as conn:
                orphans: list[str] = await call(
                    conn, "orphaned_files", paths=found[first : first + _AT_ONCE]
                )
            if orphans:
                await self._store.remove(orphans)
                log.info("%s files that no export owns are out of the store", len(orphans))
