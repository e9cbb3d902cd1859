"""COPY in with early errors, COPY out in blocks with back-pressure and cancel."""

import asyncio
import select
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self

import anyio
import msgspec
from psycopg import AsyncCopy, InterfaceError, IsolationLevel
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Ready, Wait

from .database import Connection

BLOCK = 128 * 1024
AHEAD = 4


class CopyIn:
    """One COPY … FROM STDIN as a context; `rowcount` is known behind it.

    psycopg itself would report a bad row only at the very end: here each write looks whether
    the server has already given up, and raises its error.
    """

    def __init__(self, conn: Connection, query: str) -> None:
        self._conn = conn
        self._cursor = conn.cursor()
        self._context = self._cursor.copy(query.encode())
        self._copy: AsyncCopy
        self._poll = select.poll()
        self._notices = 0
        self._closed = False

    @property
    def rowcount(self) -> int:
        """How many records the server stored."""
        return self._cursor.rowcount

    async def __aenter__(self) -> Self:
        self._poll.register(self._conn.pgconn.socket, select.POLLIN)
        self._conn.add_notice_handler(self._note)
        try:
            self._copy = await self._context.__aenter__()
        except BaseException:
            self._conn.remove_notice_handler(self._note)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self._closed:
                self._closed = True
                await self._context.__aexit__(kind, error, trace)
        finally:
            self._conn.remove_notice_handler(self._note)

    async def write(self, data: bytes) -> None:
        """Send bytes; raises the server's error as soon as it has one."""
        await self._copy.write(data)
        if self._poll.poll(0) and not self._is_notice():
            self._closed = True
            await self._context.__aexit__(None, None, None)
            raise InterfaceError("COPY stopped without a server error")

    def _note(self, _: Any) -> None:
        self._notices += 1

    def _is_notice(self) -> bool:
        before = self._notices
        self._conn.pgconn.consume_input()
        # Notices reach their handler only when the input is looked at.
        self._conn.pgconn.is_busy()
        return self._notices > before


async def copy_in(conn: Connection, query: str, chunks: AsyncIterator[bytes]) -> int:
    """Send the chunks through one COPY; returns how many records were stored."""
    async with CopyIn(conn, query) as copy:
        async for chunk in chunks:
            await copy.write(chunk)
    return copy.rowcount


class Tally(msgspec.Struct):
    """How many rows a COPY has sent so far; exact once it has ended."""

    rows: int = 0


class _Drain:
    """Reads COPY data without an await per row, which would cost more than the server."""

    def __init__(self, pgconn: PGconn, first: bytes, tally: Tally) -> None:
        self._pgconn = pgconn
        self._buffer = bytearray(first)
        self._tally = tally
        self.done = False

    def block(self, target: int) -> Generator[Wait, Ready | int, bytes]:
        """The next block, by psycopg's own protocol for `conn.wait`."""
        buffer, get = self._buffer, self._pgconn.get_copy_data
        rows = 0
        while len(buffer) < target:
            size, data = get(1)
            if size > 0:
                buffer += data
                rows += 1
            elif size == 0:
                while not (yield Wait.R):
                    continue
                self._pgconn.consume_input()
            else:
                self.done = True
                result = (yield from fetch_many(self._pgconn))[-1]
                if result.status != ExecStatus.COMMAND_OK:
                    raise error_from_result(result)
                self._tally.rows, rows = result.command_tuples or 0, 0
                break
        self._tally.rows += rows
        taken = bytes(buffer)
        buffer.clear()
        return taken


async def copy_out(
    conn: Connection,
    query: str,
    target: int = BLOCK,
    first: bytes = b"",
    tally: Tally | None = None,
) -> AsyncGenerator[bytes, None]:
    """The output of a COPY … TO STDOUT in blocks; the first one starts with `first`."""
    async with conn.cursor() as cursor, cursor.copy(query.encode()):
        drain = _Drain(conn.pgconn, first, tally or Tally())
        while not drain.done:
            if data := await conn.wait(drain.block(target)):
                yield data


@asynccontextmanager
async def one_snapshot(conn: Connection) -> AsyncIterator[None]:
    """A transaction that only reads, and sees the database as it is at its first statement."""
    await conn.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await conn.set_read_only(True)
    try:
        async with conn.transaction():
            yield
    finally:
        if not conn.closed:
            await conn.set_isolation_level(None)
            await conn.set_read_only(None)


class Outgoing(msgspec.Struct):
    """What to send: a COPY … TO STDOUT, and text around its output."""

    copy: str
    prefix: str = ""
    suffix: str = ""


Start = Callable[[Connection], Awaitable[Outgoing]]


class Sessions(Protocol):
    """What gives sessions: a pool does."""

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A session, for as long as the block lasts."""


async def stream_out(
    pool: Sessions, start: Start, target: int = BLOCK, ahead: int = AHEAD
) -> AsyncGenerator[bytes, None]:
    """What `start` says, in blocks; `start` runs in the transaction of the COPY.

    An error before the first byte is raised before anything is yielded. Closing the iterator
    cancels the statement. At most `ahead` blocks wait for the reader.
    """
    queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(ahead)
    task = asyncio.create_task(_pump(pool, start, target, queue))
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        if not task.done():
            # The cancel must reach the server, also when this task is itself being cancelled.
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task], timeout=10)


async def _pump(
    pool: Sessions, start: Start, target: int, queue: asyncio.Queue[bytes | Exception | None]
) -> None:
    try:
        async with pool.connection() as conn, conn.transaction():
            out = await start(conn)
            # Close it here: the rollback must not meet a COPY that is still under way.
            async with aclosing(copy_out(conn, out.copy, target, out.prefix.encode())) as blocks:
                async for data in blocks:
                    await queue.put(data)
        if out.suffix:
            await queue.put(out.suffix.encode())
        await queue.put(None)
    except Exception as error:
        await queue.put(error)
