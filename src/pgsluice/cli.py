"""The `pgsluice` command.

Exit codes: 0 done, 1 it cannot work, 2 wrong arguments or settings, 3 the schema is not installed,
or of an import: records were rejected; 130 after Ctrl-C.
"""

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from . import __version__, cli_bench, embedded, logs
from .aliases import tell_store
from .bench.place import BenchError
from .binaries import EmbeddedError, of_major
from .client import ClientError
from .commands import completion, demo, doctor, exports, imports, jobs, resource, sample, schedule
from .commands import key as key_command
from .commands.common import INTERRUPTED, UsageError
from .database import ask
from .errors import ProblemError
from .migrate import MigrationError, migrate, pending_at, scratch_database
from .psql import program as psql_program
from .psql import without_password
from .server import ListenError, check_host, claim, run
from .settings import Settings, SettingsError, load, read_env_file

log = logging.getLogger("pgsluice.cli")


class SchemaMissingError(Exception):
    """The database lacks migrations that this release needs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; expected failures are one line on stderr and an exit code."""
    parser = _parser()
    given, arguments = parser.parse_known_args(argv)
    if hasattr(given, "files") and not any(word.startswith("-") for word in arguments):
        # files behind a flag: argparse takes a list in one place only
        given.files, arguments = [*given.files, *arguments], []
    given.arguments = arguments
    if arguments and given.command is not psql:
        parser.error(f"unknown arguments: {' '.join(arguments)}")
    # Without this a SIGTERM would end us before the embedded server is stopped.
    ended = 0 if given.command in (serve, worker, show_demo) else 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ended))
    try:
        settings = load(vars(given))
        logs.configure(settings.log_format)
        tell_store(os.environ, read_env_file(Path(".env")))
        return int(given.command(settings, given))
    except (SettingsError, UsageError) as exc:
        return _fail(exc, 2)
    except SchemaMissingError as exc:
        return _fail(exc, 3)
    except (
        ClientError,
        BenchError,
        EmbeddedError,
        MigrationError,
        ListenError,
        ProblemError,
    ) as exc:
        return _fail(exc, 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; nothing is to be flushed into it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _fail(exc: Exception, code: int) -> int:
    print(f"pgsluice: {exc}", file=sys.stderr)
    return code


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
    from .worker import hearing, new_news, working

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
    """Make, list, rotate and revoke API keys."""
    with _database(settings, attach=True) as dsn:
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
    with claimed, _database(own) as dsn:
        _install(own, dsn, wanted=True)
        url, environ = without_password(dsn)
        demo.add_shop(psql_program(own), url, environ)
        demo.start_story(own, claimed.getsockname()[1], given.home)
        try:
            return run(msgspec.structs.replace(own, database_url=dsn), claimed)
        except KeyboardInterrupt:
            return 0  # the guide says that this is how it is stopped


def register(settings: Settings, given: argparse.Namespace) -> int:
    """Make a table a resource."""
    with _database(settings, attach=True) as dsn:
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
    with _database(settings, attach=True) as dsn:
        program = psql_program(settings)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it cancels a query
        url, environ = without_password(dsn)
        return subprocess.call([program, "-d", url, *given.arguments], env=environ)


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgsluice", description="Bulk import and export for Postgres tables."
    )
    parser.add_argument("--version", action="version", version=f"pgsluice {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data-dir", type=Path, help="of the embedded Postgres (default .pgsluice)"
    )

    command = commands.add_parser("serve", parents=[shared], help="run the API and a worker")
    command.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    command.add_argument("--port", type=int, help="port to listen on (default 8080; 0: a free one)")
    command.add_argument("--no-worker", dest="worker", action="store_const", const=False)
    command.add_argument(
        "--migrate", action="store_true", help="upgrade the database of DATABASE_URL"
    )
    command.set_defaults(command=serve)

    command = commands.add_parser("worker", parents=[shared], help="run a worker alone")
    command.set_defaults(command=worker)
    command = commands.add_parser("migrate", parents=[shared], help="install or upgrade the schema")
    command.set_defaults(command=install)
    cli_bench.add(commands).set_defaults(command=bench)
    key_command.add(commands, shared).set_defaults(command=key)
    told = "open psql on the database; what we do not know goes to psql"
    command = commands.add_parser("psql", parents=[shared], help=told)
    command.set_defaults(command=psql)
    demo.add_to(commands).set_defaults(command=show_demo)
    resource.add_to(commands).set_defaults(command=register)
    for module in (imports, exports, jobs, schedule, doctor, sample, completion):
        module.add_to(commands)
    parser.set_defaults(parser=parser)
    return parser
