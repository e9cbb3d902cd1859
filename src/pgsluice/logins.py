"""Sessions of the logins that API keys have: there, code of a table has their rights only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .database import STALL_SECONDS, Connection, Error, StatementCancelled, call, connect
from .errors import ProblemError, sentence
from .settings import Settings, login_urls

# Sessions of one login at once in a process; whoever wants another one waits.
_MOST = 8


class Logins:
    """The logins of SLUICE_LOGINS.

    Each piece of work has a session of its own, which ends with it: what code of a table leaves in
    a session meets nobody, and a new password counts at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._urls = login_urls(settings)
        self._places = {name: asyncio.Semaphore(_MOST) for name in self._urls}

    @asynccontextmanager
    async def session(self, name: str, stall: int = STALL_SECONDS) -> AsyncIterator[Connection]:
        """A new session of a login; ProblemError (503) says why there is none."""
        if name not in self._urls:
            raise ProblemError(503, f"the login {name!r} has no URL here: see SLUICE_LOGINS")
        async with self._places[name], await connect(self._urls[name], name, stall) as conn:
            yield conn

    def readers(self, name: str) -> "Readers":
        """Where downloads for a key with this login get their sessions."""
        return Readers(self, name)

    async def carry_out(self, work: dict[str, Any]) -> dict[str, str] | None:
        """Do what a fenced step does to its table, in one transaction; the fault if it cannot.

        A cancelled statement is no fault: it is raised.
        """
        told = {name: work[name] for name in ("job", "step", "login", "fence")}
        try:
            async with self.session(work["login"]) as conn, conn.transaction():
                await call(conn, "fence_work", **told)
        except StatementCancelled:
            raise
        except ProblemError as exc:
            return {"sqlstate": "IO503", "message": exc.detail}
        except Error as exc:
            if exc.sqlstate is None or exc.sqlstate.startswith("57P"):
                return {"sqlstate": "IO503", "message": f"login {work['login']}: session lost"}
            said = sentence(exc.diag.message_primary or "it failed", exc.diag.message_hint)
            return {"sqlstate": exc.sqlstate, "message": said}
        return None


class Readers:
    """Gives sessions of one login, as a pool does."""

    def __init__(self, logins: Logins, name: str) -> None:
        self._logins = logins
        self._name = name

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A session; who reads it may pause as long as they like."""
        return self._logins.session(self._name, stall=0)


async def enter(conn: Connection, about: dict[str, Any]) -> None:
    """Make a session of a login ready for the COPY of an export; refused if it is a wrong one."""
    await call(conn, "check_fence", login=about["login"], fence=about["fence"])
    await call(conn, "pin_output", p_search_path=about["search_path"])
