"""What one API key may take at once and in a day: counted in SQL, over all processes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..database import Error, Pool, acting, call

log = logging.getLogger("pgsluice.api")

_BEAT_SECONDS = 20.0


@asynccontextmanager
async def within_quota(pool: Pool, size: int | None = None) -> AsyncIterator[None]:
    """A place for an upload of the acting key, if it has a quota; 429 when there is none left.

    `size`: bytes that are known to come, for which the day must have room too.
    """
    caller = acting.get()
    if caller is None or not caller.has_quota:
        yield
        return
    async with pool.connection() as conn:
        place = await call(conn, "upload_begin", bytes=size)
    if place is None:
        yield
        return
    beating = asyncio.create_task(_beat(pool, place))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.shield(_tell(pool, "upload_end", place))


async def _beat(pool: Pool, place: str) -> None:
    while True:
        await asyncio.sleep(_BEAT_SECONDS)
        await _tell(pool, "upload_beat", place)


async def _tell(pool: Pool, name: str, place: str) -> None:
    try:
        async with pool.connection() as conn:
            await call(conn, name, upload_id=place)
    except Error as exc:
        # Without a beat the place is free after a minute.
        log.warning("the quota of an API key was not told of its upload: %s", exc)
