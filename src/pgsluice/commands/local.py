"""The commands that work on Postgres or run the service itself.

What they import takes half a second and more, so cli.py imports this module only for them.
"""

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .. import cli_bench, embedded
from ..binaries import EmbeddedError, of_major
from ..database import ask
from ..failures import CommandError
from ..memory import spare_the_collector
from ..migrate import migrate, pending_at, scratch_database
from ..psql import program as psql_program
from ..psql import without_password
from ..server import ListenError, check_host, claim, run
from ..settings import Settings
from . import demo, resource
from . import key as key_command
from .common import note

log = logging.getLogger("pgsluice.cli")


class SchemaMissingError(CommandError):
    """The database lacks migrations that this release needs."""

    exit_code = 3


def serve(settings: Settings, given: argparse.Namespace) -> int:
    """API and, unless --no-worker, worker; until SIGTERM or SIGINT."""
    with claim(settings) as claimed, _database(settings) as dsn:
        _install(settings, dsn, wanted=given.migrate)
        check_host(settings, lambda: bool(ask(dsn, "admit")["keys_exist"]))
        return run(msgspec.structs.replace(settings, database_url=dsn), claimed)


def worker(settings: Settings, _given: argparse.Namespace) -> int:
    """A worker alone, beside `serve --no-worker` or on another machine."""
    dsn = settings.database_url
    if dsn is None:
        running = embedded.attach(settings.data_dir, pg_bin=settings.pg_bin)
        if running is None:
            raise EmbeddedError(
                f"no server runs on {settings.data_dir}: start `pgsluice serve --no-worker` first, "
                "or set DATABASE_URL"
            )
        dsn = running.dsn
    _refuse_old(dsn)
    asyncio.run(_work(msgspec.structs.replace(settings, database_url=dsn)))
    return 0


async def _work(settings: Settings) -> None:
    # Clients of stores and of the web take a while to import: only where they are needed
    from ..worker import hearing, new_news, working

    spare_the_collector()
    over = asyncio.Event()

    def stop(number: int) -> None:
        if over.is_set():
            log.warning("told twice to stop: ending at once")
            # Postgres sees the connections close and rolls back what runs on them.
            os._exit(128 + number)
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    async with hearing(new_news(settings)) as news, working(settings, news):
        print("working", flush=True)
        await over.wait()


def install(settings: Settings, _given: argparse.Namespace) -> int:
    """Install or upgrade the schema."""
    with _database(settings, attach=True) as dsn:
        applied = migrate(dsn)
    for name in applied:
        print(f"applied {name}")
    if not applied:
        print("up to date")
    return 0


def key(settings: Settings, given: argparse.Namespace) -> int:
    """Make, list, change, rotate and revoke API keys."""
    else_by = f"{settings.url}/{settings.api_prefix}/keys does the same for a key of scope admin"
    with _own_database(settings, else_by) as dsn:
        _refuse_old(dsn)
        return key_command.run(dsn, given)


def show_demo(settings: Settings, given: argparse.Namespace) -> int:
    """A system of its own to look at, with sample data; until SIGTERM or SIGINT."""
    own = demo.own_settings(settings, given.home)
    try:
        claimed = claim(own)
    except ListenError:
        if given.port is not None:
            raise
        claimed = claim(msgspec.structs.replace(own, port=0))
        note(f"port {own.port} is not free: the demo is on {claimed.getsockname()[1]}")
    with claimed, _database(own) as dsn:
        _install(own, dsn, wanted=True)
        url, environ = without_password(dsn)
        demo.add_shop(psql_program(own), url, environ)
        root = embedded.root_of(own.data_dir)
        demo.start_story(own, claimed.getsockname()[1], given.home, root)
        return run(msgspec.structs.replace(own, database_url=dsn), claimed)


def register(settings: Settings, given: argparse.Namespace) -> int:
    """Make a table a resource."""
    with _own_database(settings, "psql has select sluice.register(…)") as dsn:
        _refuse_old(dsn)
        return resource.register(dsn, given)


def bench(settings: Settings, given: argparse.Namespace) -> int:
    """Measure, in a database of its own that is dropped afterwards."""
    with tempfile.TemporaryDirectory(prefix="pgsluice-bench-", dir=given.folder) as folder:
        Path(folder).chmod(0o755)  # as root, the server is somebody else
        pg_bin = str(of_major(given.pg).bindir) if given.pg else settings.pg_bin
        own = msgspec.structs.replace(settings, data_dir=Path(folder) / "data", pg_bin=pg_bin)
        with _database(own) as server, scratch_database(server) as dsn:
            migrate(dsn)
            return cli_bench.run(dsn, psql_program(own), Path(folder), given)


def psql(settings: Settings, given: argparse.Namespace) -> int:
    """psql on the database that the service uses; further arguments go to psql."""
    with _own_database(settings) as dsn:
        program = psql_program(settings)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it cancels a query
        url, environ = without_password(dsn)
        return subprocess.call([program, "-d", url, *given.arguments], env=environ)


class NoDatabaseError(CommandError):
    """A command works on the database, and nobody has said which."""

    exit_code = 2


@contextmanager
def _own_database(settings: Settings, else_by: str = "") -> Iterator[str]:
    """As _database(), but none is made: whoever knows only a service's URL would look into it."""
    if not settings.database_url and not embedded.is_made(settings.data_dir):
        raise NoDatabaseError(
            "this works on the database itself, and here is none: set DATABASE_URL, or run it "
            "where `pgsluice serve` has its own (--data-dir)" + (f"; {else_by}" if else_by else "")
        )
    with _database(settings, attach=True) as dsn:
        yield dsn


@contextmanager
def _database(settings: Settings, *, attach: bool = False) -> Iterator[str]:
    """The URL of the database: as set, else an embedded server for as long as the block lasts."""
    if settings.database_url:
        yield settings.database_url
        return
    if attach and (running := embedded.attach(settings.data_dir, pg_bin=settings.pg_bin)):
        yield running.dsn
        return
    server = embedded.start(settings.data_dir, pg_bin=settings.pg_bin)
    try:
        told = "goes on" if server.adopted else "starts"
        log.info("embedded Postgres %s %s in %s", server.version, told, settings.data_dir)
        with server.kept_running():
            yield server.dsn
    finally:
        server.stop()


def _install(settings: Settings, dsn: str, *, wanted: bool) -> None:
    """Bring an embedded database up to date; another one only when told to."""
    if settings.database_url is None or wanted:
        applied = migrate(dsn)
        if applied:
            log.info("schema installed or upgraded: %d migrations", len(applied))
    else:
        _refuse_old(dsn)


def _refuse_old(dsn: str) -> None:
    missing = pending_at(dsn)
    if missing:
        raise SchemaMissingError(
            f"the database lacks {len(missing)} migrations ({missing[0]} first): "
            "run `pgsluice migrate`, or start with --migrate"
        )
