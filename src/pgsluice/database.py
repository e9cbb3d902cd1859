"""The one way to Postgres: a pool, and `call(conn, "function", arg=value)`."""

import asyncio
import logging
import re
import select
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from psycopg import AsyncConnection, DataError, Error, InterfaceError, OperationalError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import QueryCanceled as StatementCancelled
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from .errors import ProblemError, problem_of_sqlstate, sentence, unavailable

__all__ = [
    "STALL_SECONDS",
    "Caller",
    "Connection",
    "Error",
    "Jsonb",
    "Pool",
    "StatementCancelled",
    "acting",
    "ask",
    "call",
    "connect",
    "listen",
    "network",
    "new_pool",
    "own_role",
    "place_of",
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

# Who waits for a lock keeps a session from all others; the URL's own options may say otherwise.
_DEFAULT_OPTIONS = "-c lock_timeout=5s"
# The queue's own functions use unqualified names; ours are qualified and do not care.
_STARTUP_OPTIONS = "-c search_path=procrastinate -c timezone=UTC"


@dataclass(frozen=True)
class Caller:
    """Who a request comes from: `id` is empty for anybody, `key_id` is set for a key's row."""

    id: str
    key_id: str | None = None
    name: str | None = None
    scopes: frozenset[str] = frozenset()
    profile: str | None = None
    has_quota: bool = False
    login: str | None = None
    rate: dict[str, Any] = field(default_factory=dict)


# For whom the calls of this task are made; None for the service itself.
acting: ContextVar[Caller | None] = ContextVar("acting", default=None)

# Before the function is called, and to the end of its transaction.
_ACTOR = (
    " from (select pg_catalog.set_config('sluice.caller', %(_caller)s, true),"
    " pg_catalog.set_config('sluice.key', %(_key)s, true) offset 0) as actor"
)


async def call(conn: Connection, name: str, /, **args: Any) -> Any:
    """Call `sluice.<name>(arg => value, …)` and return its single value.

    A dict is sent as jsonb, a list of str as text[]; wrap a list meant as jsonb in Jsonb.
    The function sees who is `acting`: settings sluice.caller and sluice.key.
    """
    for word in (name, *args):
        if not _IDENTIFIER.fullmatch(word):
            raise ValueError(f"not an identifier: {word!r}")
    named = ", ".join(f'"{arg}" => %({arg})s' for arg in args)
    values = {
        arg: Jsonb(value) if isinstance(value, dict) else value for arg, value in args.items()
    }
    actor = ""
    if (caller := acting.get()) and caller.id:
        actor = _ACTOR
        values |= {"_caller": caller.id, "_key": caller.key_id or ""}
    cursor = await conn.execute(f"select sluice.{name}({named}){actor}".encode(), values)
    row = await cursor.fetchone()
    return row[0] if row else None


# A network that is cut sends no word: probes tell, and bytes that nobody confirms. The kernel's own
# patience is hours and a quarter of an hour.
_PROBES = {"idle": 10, "interval": 5, "count": 3}
STALL_SECONDS = 25
_CONNECT_SECONDS = 10


def network(dsn: str, stall: int = STALL_SECONDS) -> dict[str, int]:
    """What libpq is told besides the URL, so that a dead network is noticed in `stall` seconds.

    `stall` is also how long the server may leave bytes unread; 0 is no limit to that.
    """
    wanted = {f"keepalives_{name}": value for name, value in _PROBES.items()}
    wanted |= {"tcp_user_timeout": stall * 1000, "connect_timeout": _CONNECT_SECONDS}
    given = conninfo_to_dict(dsn)
    return {name: value for name, value in wanted.items() if name not in given}


async def own_role(conn: Connection) -> None:
    """Back from the database role of an API key to the session's own."""
    await conn.execute("reset role")


def ask(dsn: str, name: str, /, **args: Any) -> Any:
    """One call on a connection of its own, for commands; ProblemError when it is refused."""

    async def once() -> Any:
        async with await AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            return await call(conn, name, **args)

    try:
        return asyncio.run(once())
    except Error as exc:
        raise _told(exc, dsn) from exc


def place_of(dsn: str) -> str:
    """Where a URL leads to, without its password: ann@db.example.org:5432/shop."""
    given = conninfo_to_dict(dsn)
    user = f"{given['user']}@" if given.get("user") else ""
    port = f":{given['port']}" if given.get("port") else ""
    return f"{user}{given.get('host', 'localhost')}{port}/{given.get('dbname', '')}"


def _told(exc: Error, dsn: str) -> ProblemError:
    """An error for whoever holds the database's URL: they may read what the server says."""
    said = exc.diag.message_primary or " ".join(str(exc).split())
    if exc.sqlstate is None:
        return ProblemError(503, f"no connection to the database at {place_of(dsn)}: {said}")
    if exc.sqlstate.startswith("IO"):
        return problem_of(exc)
    return ProblemError(500, sentence(f"the database says: {said}", exc.diag.message_hint))


async def connect(dsn: str, login: str, stall: int = STALL_SECONDS) -> Connection:
    """A session of a login, as those of pools are; ProblemError (503) says why there is none."""
    given = conninfo_to_dict(dsn).get("options") or ""
    where = make_conninfo(
        dsn,
        options=f"{_DEFAULT_OPTIONS} {given} {_STARTUP_OPTIONS}",
        application_name=f"pgsluice {login}",
        **network(dsn, stall),
    )
    try:
        conn = await AsyncConnection.connect(where, autocommit=True)
        await _configure(conn, dsn, stall)
    except Error as exc:
        # the server's own words, without its address
        reason = str(exc).rpartition("FATAL:")[2].strip() if "FATAL:" in str(exc) else "no reply"
        raise ProblemError(503, f"{login} cannot log in: {reason}", {"Retry-After": "5"}) from exc
    return conn


async def _configure(conn: Connection, dsn: str, stall: int) -> None:
    """Have the server notice a client that left or cannot be reached.

    Not every platform can, and none must.
    """
    wanted = {f"tcp_keepalives_{name}": str(value) for name, value in _PROBES.items()}
    wanted |= {"tcp_user_timeout": f"{stall}s", "client_connection_check_interval": "2s"}
    given = str(conninfo_to_dict(dsn).get("options") or "")
    for name, value in wanted.items():
        if name not in given:
            try:
                await conn.execute(
                    "select pg_catalog.set_config(%s, %s, false)", (name, value), prepare=False
                )
            except Error as exc:
                log.debug("%s is not available: %s", name, exc)


async def listen(dsn: str, channel: str) -> AsyncGenerator[str | None, None]:
    """None as soon as the channel is heard, then what is told there; raises when it breaks."""
    if not _IDENTIFIER.fullmatch(channel):
        raise ValueError(f"not an identifier: {channel!r}")
    where = make_conninfo(dsn, application_name="pgsluice news", **network(dsn))
    conn = await AsyncConnection.connect(where, autocommit=True)
    async with conn:
        await _configure(conn, dsn, STALL_SECONDS)
        await conn.execute(f"listen {channel}".encode())
        yield None
        async for told in conn.notifies():
            yield told.payload


def _has_spoken(conn: Connection) -> bool:
    """Whether the server sent something unasked: it then closes an idle connection, or has.

    Asking it costs a round trip for each connection that is taken, which this does not.
    """
    poll = select.poll()
    poll.register(conn.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def new_pool(
    dsn: str, *, size: int, name: str, stall: int = STALL_SECONDS, **parameters: object
) -> Pool:
    """A pool that is not open yet; its connections are in autocommit and checked before use.

    `stall`: seconds that one side may leave bytes of the other unread before the connection is
    taken for dead. `parameters` are settings of pgsluice that SQL reads: stage="unlogged" is
    sluice.stage there.
    """
    given = conninfo_to_dict(dsn).get("options") or ""
    told = " ".join(f"-c sluice.{key}={value}" for key, value in parameters.items())

    async def check(conn: Connection) -> None:
        if not _has_spoken(conn):
            return
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
        configure=partial(_configure, dsn=dsn, stall=stall),
        check=check,
        kwargs={
            "autocommit": True,
            "options": f"{_DEFAULT_OPTIONS} {given} {_STARTUP_OPTIONS} {told}".strip(),
            "application_name": name,
            **network(dsn, stall),
        },
    )
    return pool


def problem_of(exc: Exception) -> ProblemError:
    """The refusal that a database error stands for."""
    if isinstance(exc, InterfaceError | OperationalError) and exc.sqlstate is None:
        return unavailable()
    if isinstance(exc, DataError) and exc.sqlstate is None:
        # psycopg itself refuses it, in a path too, where nobody looks for it before
        return ProblemError(400, "the request holds a NUL character, which no text here can hold")
    if not isinstance(exc, Error) or exc.sqlstate is None:
        return problem_of_sqlstate("XX000", None, None)
    said = exc.diag
    return problem_of_sqlstate(
        exc.sqlstate, said.message_primary, said.message_hint, said.message_detail
    )
