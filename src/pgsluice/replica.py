"""The streaming replica that exports read, while it is there and keeps up."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .copy import one_snapshot
from .database import Connection, Error, Pool, call
from .errors import ProblemError

log = logging.getLogger("pgsluice.replica")

_CONNECT_SECONDS = 2.0
_LOOK_SECONDS = 0.02
# Nobody tries a replica for so long that was away: each would wait for it again.
_REST_SECONDS = 3.0
_AWAY = ("08", "53", "57", "IO")


class Replica:
    """The server of SLUICE_EXPORT_DATABASE_URL.

    What it reads has all that was committed on the primary when it was asked for, and whatever
    fails here before a byte has been sent is read from the primary.
    """

    def __init__(self, pool: Pool | None, patience: float) -> None:
        """Without a pool there is none; `patience`: seconds that it is given to catch up."""
        self.pool = pool
        self._patience = patience
        self._rests_until = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether it is worth a try: there is one, and it was not away just now."""
        return self.pool is not None and time.monotonic() >= self._rests_until

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Its sessions, for as long as the block lasts."""
        if self.pool is None:
            yield
            return
        async with self.pool:
            yield

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A session there."""
        if self.pool is None:
            raise ProblemError(503, "there is no replica: see SLUICE_EXPORT_DATABASE_URL")
        return self.pool.connection(timeout=_CONNECT_SECONDS)

    async def catch_up(self, conn: Connection, place: dict[str, Any]) -> None:
        """Wait until a session there sees all that the primary had at `place` (source_place).

        ProblemError (503) when that takes too long.
        """
        if behind := await self._behind(conn, place, self._patience):
            raise ProblemError(503, f"it is {behind} bytes behind", {"Retry-After": "5"})

    async def _behind(self, conn: Connection, place: dict[str, Any], seconds: float) -> int:
        """The bytes of WAL that it lacks of what there was at `place`, after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            # each look is a statement of its own: one that waits would hold up the replay
            state = await call(conn, "replica_state", place=place)
            if state["has_all"] or time.monotonic() >= until:
                return int(state["behind_bytes"])
            await asyncio.sleep(_LOOK_SECONDS)

    @asynccontextmanager
    async def snapshot(self, place: dict[str, Any]) -> AsyncIterator[Connection]:
        """A session there with one snapshot, which has all that the primary had at `place`."""
        async with self.connection() as conn:
            await self.catch_up(conn, place)
            async with one_snapshot(conn):
                yield conn

    def give_up(self, exc: Exception) -> None:
        """It could not be read: the primary is, for a while for all when this one is away."""
        sqlstate = exc.sqlstate if isinstance(exc, Error) else None
        if not sqlstate or sqlstate.startswith(_AWAY):
            self._rests_until = time.monotonic() + _REST_SECONDS
        said = exc.detail if isinstance(exc, ProblemError) else " ".join(str(exc).split())
        log.warning("the replica that exports read is left alone: %s", said)

    async def state(self, place: dict[str, Any]) -> dict[str, Any]:
        """How it is, for those who ask after our health: its status, and how far it is behind."""
        if not self.is_wanted:
            return {"status": "unavailable"}
        try:
            async with self.connection() as conn:
                behind = await self._behind(conn, place, min(self._patience, 1.0))
        except (Error, ProblemError) as exc:
            self.give_up(exc)
            return {"status": "unavailable"}
        return {"status": "behind" if behind else "ok", "behind_bytes": behind}
