"""Install and upgrade: db/install.sql as psql would run it, and then the queue's own migrations."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from .failures import CommandError

_LINE = re.compile(
    r"^(?:\\set m (?P<migration>\S+)|\\ir (?P<file>\S+\.sql)|(?P<block>begin|commit);)[ \t]*$",
    re.MULTILINE,
)


class MigrationError(CommandError):
    """The schema cannot be installed or upgraded; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """One transaction of an installation: these files, and a ledger row when it has a name."""

    files: tuple[Path, ...]
    name: str | None = None


def home() -> Path:
    """The directory that holds db/ and sql/: inside a wheel, or the top of a checkout."""
    here = Path(__file__).resolve()
    for place in (here.parent / "_sql", here.parents[2]):
        if (place / "db" / "install.sql").is_file():
            return place
    raise MigrationError("db/install.sql is missing: reinstall pgsluice")


def read_install(install: Path) -> Iterator[Step]:
    """The steps of an install.sql, in its order; the lines that only psql needs are passed over."""
    block: list[Path] | None = None
    for line in _LINE.finditer(install.read_text(encoding="utf-8")):
        if name := line["migration"]:
            yield Step((install.parent / "migrations" / f"{name}.sql",), name)
        elif line["file"]:
            path = (install.parent / line["file"]).resolve()
            if block is None:
                yield Step((path,))
            else:
                block.append(path)
        elif line["block"] == "begin":
            block = []
        elif block is not None:
            yield Step(tuple(block))
            block = None


def queue_migrations() -> Iterator[tuple[str, str]]:
    """Name and text of each migration that the installed procrastinate carries, oldest first."""
    folder = resources.files("procrastinate.sql.migrations")
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".sql"):
            yield (
                f"procrastinate/{file.name.removesuffix('.sql')}",
                file.read_text(encoding="utf-8"),
            )


def pending(conn: psycopg.Connection) -> list[str]:
    """Names of the migrations that this release needs and the database has not run."""
    wanted = [step.name for step in read_install(home() / "db" / "install.sql") if step.name]
    wanted += [name for name, _ in queue_migrations()]
    done = _applied(conn) if _exists(conn, "sluice.ledger") else set()
    return [name for name in wanted if name not in done]


def pending_at(dsn: str) -> list[str]:
    """As pending(), on a connection of its own; MigrationError when there is no server."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            return pending(conn)
    except psycopg.Error as exc:
        raise MigrationError(_explain(exc)) from exc


def server_version(dsn: str) -> int:
    """The version of a server as its driver has it: 180004; MigrationError when there is none."""
    try:
        with psycopg.connect(dsn, connect_timeout=10) as conn:
            return conn.info.server_version
    except psycopg.Error as exc:
        raise MigrationError(_explain(exc)) from exc


def migrate(dsn: str) -> list[str]:
    """Install or upgrade; the names applied. Safe to repeat, and to run in many places at once."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            conn.execute("set client_min_messages = warning")
            conn.execute("set client_encoding = 'utf8'")
            try:
                return [*_install(conn), *_install_queue(conn)]
            finally:
                if not conn.closed:
                    conn.execute("select pg_catalog.pg_advisory_unlock_all()")
    except psycopg.Error as exc:
        raise MigrationError(_explain(exc)) from exc


def _install(conn: psycopg.Connection) -> Iterator[str]:
    """Run the steps of install.sql; the name of each migration that ran now."""
    for step in read_install(home() / "db" / "install.sql"):
        if step.name is None:
            _run(conn, step)
        elif step.name not in _applied(conn):
            _run(conn, step)
            yield step.name


def _run(conn: psycopg.Connection, step: Step) -> None:
    with conn.transaction():
        for file in step.files:
            _execute(conn, file.read_text(encoding="utf-8"), file.name)
        if step.name:
            _record(conn, step.name)


def _install_queue(conn: psycopg.Connection) -> Iterator[str]:
    """procrastinate's migrations, a transaction each: one adds an enum value, the next uses it."""
    done = _applied(conn)
    if _exists(conn, "procrastinate.procrastinate_jobs") and not any(
        n.startswith("procrastinate/") for n in done
    ):
        raise MigrationError(
            "schema procrastinate is there, but sluice.ledger does not say which of its migrations "
            "ran: insert their names there ('procrastinate/…', file names without .sql)"
        )
    for name, text in queue_migrations():
        if name not in done:
            with conn.transaction():
                if not _exists(conn, "procrastinate", "to_regnamespace"):
                    conn.execute("create schema procrastinate")
                conn.execute("set local search_path = procrastinate")
                _execute(conn, text, name)
                _record(conn, name)
            yield name
    conn.execute("select sluice.hand_over(), sluice.grant_roles()")


def _execute(conn: psycopg.Connection, text: str, name: str) -> None:
    """Run a whole file (no parameters, so as many statements as it has); errors name the file."""
    try:
        conn.execute(text.encode())
    except psycopg.Error as exc:
        exc.add_note(name)
        raise


def _applied(conn: psycopg.Connection) -> set[str]:
    return {name for (name,) in conn.execute("select name from sluice.ledger").fetchall()}


def _record(conn: psycopg.Connection, name: str) -> None:
    conn.execute("insert into sluice.ledger (name) values (%s)", [name])


def _exists(conn: psycopg.Connection, name: str, look: LiteralString = "to_regclass") -> bool:
    row = conn.execute(f"select {look}(%s) is not null", [name]).fetchone()
    return bool(row and row[0])


def _explain(exc: psycopg.Error) -> str:
    """One line: file, message and hint of a server's error, or what the driver said."""
    where = "".join(f"{note}: " for note in getattr(exc, "__notes__", ()))
    parts = [exc.diag.message_primary or " ".join(str(exc).split()), exc.diag.message_hint]
    return where + ". ".join(part for part in parts if part)


@contextmanager
def scratch_database(dsn: str) -> Iterator[str]:
    """The URL of an empty database on the server of `dsn`, dropped when the block ends."""
    name = f"pgsluice_{uuid4().hex[:12]}"
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
        finally:
            conn.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
