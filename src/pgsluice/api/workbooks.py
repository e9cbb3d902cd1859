"""Workbooks and Parquet on their way out: made in a file without a name, then sent."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import IO, Any

from ..errors import ClientGoneError
from ..ingest.spool import flush, unnamed_file, write
from ..made_files import FileWriter, writer_of
from .service import AnyRequest

_BLOCK = 256 * 1024


async def made_file(
    request: AnyRequest, rows: AsyncGenerator[bytes, None], about: dict[str, Any]
) -> tuple[int, AsyncGenerator[bytes, None]]:
    """Size and blocks of the file that `about` wants made; a refusal before any of it is sent.

    ClientGoneError when the client leaves before it is made.
    """
    making = asyncio.create_task(_make(rows, about))
    leaving = asyncio.create_task(_has_left(request))
    try:
        await asyncio.wait({making, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise ClientGoneError
        file = making.result()
    finally:
        making.cancel()
        leaving.cancel()
        await asyncio.gather(making, leaving, return_exceptions=True)
    return file.tell(), _blocks(file)


async def _make(rows: AsyncGenerator[bytes, None], about: dict[str, Any]) -> IO[bytes]:
    writer = writer_of(about)
    if writer is None:
        raise ValueError("the rows are a file as they are")
    file = unnamed_file()
    try:
        async with aclosing(rows):
            async for block in rows:
                await asyncio.to_thread(_add, file, writer, block)
        await asyncio.to_thread(_end, file, writer)
    except BaseException:
        file.close()
        raise
    finally:
        writer.close()
    return file


def _add(file: IO[bytes], writer: FileWriter, block: bytes) -> None:
    write(file, writer.add(block))


def _end(file: IO[bytes], writer: FileWriter) -> None:
    write(file, writer.end())
    flush(file)


async def _blocks(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    with file:
        file.seek(0)
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block


async def _has_left(request: AnyRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
