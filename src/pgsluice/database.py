"""The one way to Postgres: a pool, and `call(conn, "function", arg=value)`."""

import logging
import re
from collections.abc import AsyncGenerator
from typing import Any, TypeAlias

from psycopg import AsyncConnection, Error, InterfaceError, OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import QueryCanceled as StatementCancelled
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from .errors import ProblemError, problem_of_sqlstate, unavailable

__all__ = [
    "Connection",
    "Error",
    "Jsonb",
    "Pool",
    "StatementCancelled",
    "call",
    "listen",
    "new_pool",
    "problem_of",
]

Connection: TypeAlias = AsyncConnection[TupleRow]
Pool: TypeAlias = AsyncConnectionPool[AsyncConnection[TupleRow]]

log = logging.getLogger("pgsluice.database")

_SAY_AGAIN_SECONDS = 30.0


class _Seldom(logging.Filter):
    """Lets a message pass that has not been seen for half a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # The same failure comes for each pool, attempt and connection: those are not told apart.
        said = record.getMessage().partition("failed: ")[2] or str(record.msg)
        if record.created - self._said.get(said, 0.0) < _SAY_AGAIN_SECONDS:
            return False
        self._said = {
            **{text: at for text, at in self._said.items() if record.created - at < 60},
            said: record.created,
        }
        return True


# While Postgres is away the pools try again each second, and say so each time.
logging.getLogger("psycopg.pool").addFilter(_Seldom())

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# The queue's own functions use unqualified names; ours are qualified and do not care.
_STARTUP_OPTIONS = "-c search_path=procrastinate -c timezone=UTC"


async def call(conn: Connection, name: str, /, **args: Any) -> Any:
    """Call `sluice.<name>(arg => value, …)` and return its single value.

    A dict is sent as jsonb, a list of str as text[]; wrap a list meant as jsonb in Jsonb.
    """
    for word in (name, *args):
        if not _IDENTIFIER.fullmatch(word):
            raise ValueError(f"not an identifier: {word!r}")
    named = ", ".join(f'"{arg}" => %({arg})s' for arg in args)
    values = {
        arg: Jsonb(value) if isinstance(value, dict) else value for arg, value in args.items()
    }
    cursor = await conn.execute(f"select sluice.{name}({named})".encode(), values)
    row = await cursor.fetchone()
    return row[0] if row else None


async def listen(dsn: str, channel: str) -> AsyncGenerator[str | None, None]:
    """None as soon as the channel is heard, then what is told there; raises when it breaks."""
    if not _IDENTIFIER.fullmatch(channel):
        raise ValueError(f"not an identifier: {channel!r}")
    conn = await AsyncConnection.connect(dsn, autocommit=True, application_name="pgsluice news")
    async with conn:
        await conn.execute(f"listen {channel}".encode())
        yield None
        async for told in conn.notifies():
            yield told.payload


async def _configure(conn: Connection) -> None:
    """Have the server notice a client that left; not every platform can, and none must."""
    try:
        await conn.execute(
            "select pg_catalog.set_config('client_connection_check_interval', '2s', false)"
        )
    except Error as exc:
        log.debug("client_connection_check_interval is not available: %s", exc)


def new_pool(dsn: str, *, size: int, name: str, **parameters: object) -> Pool:
    """A pool that is not open yet; its connections are in autocommit and checked before use.

    `parameters` are settings of pgsluice that SQL reads: stage="unlogged" is sluice.stage there.
    """
    given = conninfo_to_dict(dsn).get("options") or ""
    told = " ".join(f"-c sluice.{key}={value}" for key, value in parameters.items())

    async def check(conn: Connection) -> None:
        try:
            await AsyncConnectionPool.check_connection(conn)
        except Error:
            # After a restart of Postgres all idle connections are dead, and the pool would try
            # them one by one with growing pauses: have it drop them all.
            await pool.check()
            raise

    pool: Pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        name=name,
        timeout=10,
        max_idle=120,
        reconnect_timeout=5,
        configure=_configure,
        check=check,
        kwargs={
            "autocommit": True,
            "options": f"{given} {_STARTUP_OPTIONS} {told}".strip(),
            "application_name": name,
        },
    )
    return pool


def problem_of(exc: Exception) -> ProblemError:
    """The refusal that a database error stands for."""
    if isinstance(exc, InterfaceError | OperationalError) and exc.sqlstate is None:
        return unavailable()
    if not isinstance(exc, Error) or exc.sqlstate is None:
        return problem_of_sqlstate("XX000", None, None)
    return problem_of_sqlstate(exc.sqlstate, exc.diag.message_primary, exc.diag.message_hint)
