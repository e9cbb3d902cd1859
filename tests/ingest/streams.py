"""Async iterators for tests."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The chunks, one by one."""
    for chunk in chunks:
        yield chunk


async def collect(chunks: AsyncIterable[bytes]) -> bytes:
    """All of it."""
    return b"".join([chunk async for chunk in chunks])
