"""Chunks that can be waited for with a limit."""

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress

AHEAD = 2


class Source:
    """Reads an iterator in one task of its own, at most a few chunks ahead."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(AHEAD)
        self._task = asyncio.create_task(self._pump(chunks))

    async def next(self, seconds: float) -> bytes | None:
        """The next chunk, or None at the end; raises TimeoutError when none comes in time."""
        async with asyncio.timeout(seconds):
            item = await self._queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _pump(self, chunks: AsyncIterable[bytes]) -> None:
        try:
            async for chunk in chunks:
                if chunk:
                    await self._queue.put(chunk)
            await self._queue.put(None)
        except Exception as error:
            await self._queue.put(error)
