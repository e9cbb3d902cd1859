"""One Postgres per session, one template database, one clone per test.

`--pg 16` or PGSLUICE_TEST_PG=16 takes another version of the embedded extra than 18.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor

from pgsluice import binaries, embedded
from pgsluice.aliases import KNOWN
from pgsluice.migrate import migrate

TOP = Path(__file__).resolve().parents[1]
# A pytest in the background ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Nothing here needs to survive a crash.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    # its files may be in memory
    "max_wal_size": "256MB",
}
PLPGSQL_CHECKS = "shadowed_variables,too_many_rows,strict_multi_assignment"


def pytest_addoption(parser: pytest.Parser) -> None:
    default = os.environ.get("PGSLUICE_TEST_PG", "18")
    parser.addoption("--pg", default=default, choices=["16", "18"], help="Postgres to test on")


@pytest.fixture(scope="session")
def pg_major(request: pytest.FixtureRequest) -> int:
    """The major version that this run tests."""
    return int(request.config.getoption("--pg"))


@pytest.fixture(scope="session")
def pg_bindir(pg_major: int) -> Path:
    """The directory of the Postgres programs under test, psql and pg_dump included."""
    package = binaries.wheel()
    assert package, "pip install -e '.[dev]' brings the Postgres that the tests need"
    return package / ("pginstall18" if pg_major == 18 else "pginstall") / "bin"


@pytest.fixture(scope="session")
def open_tmp() -> Iterator[Path]:
    """A directory that the server's user can enter, as pytest's own is not when root runs it."""
    place = _quick_place()
    for old in place.glob("pgsluice-test-*"):
        with suppress(OSError):  # those who run hold theirs
            os.close(_hold(old, os.O_RDWR))
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=".pgsluice-test-", dir=place))
    path.chmod(0o755)
    held = _hold(path, os.O_RDWR | os.O_CREAT)
    path = path.rename(place / path.name[1:])
    yield path
    shutil.rmtree(path)
    os.close(held)


def _hold(folder: Path, how: int) -> int:
    """Lock the folder until the handle is closed or its process has ended, however it ended."""
    handle = os.open(folder / "held", how, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _quick_place() -> Path:
    """Memory, where a clone of a database costs a third; /tmp where memory is small or closed."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        found = os.statvfs(memory)
        # programs are copied there when the database's user cannot reach their own place
        if found.f_bavail * found.f_frsize > 4 * 2**30 and not found.f_flag & os.ST_NOEXEC:
            return memory
    return Path("/tmp")


@pytest.fixture(scope="session")
def pg_server(open_tmp: Path, pg_bindir: Path) -> Iterator[SimpleNamespace]:
    """A running server, described as pytest-postgresql wants it."""
    server = embedded.start(open_tmp / "server", pg_bin=str(pg_bindir), settings=FAST)
    info = conninfo_to_dict(server.dsn)
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        # the same password, but a thousandth of the work at each of thousands of log-ins
        conn.execute("set scram_iterations = 1")
        conn.execute(sql.SQL("alter role postgres password {}").format(info["password"]))
    yield SimpleNamespace(
        host=info["host"],
        port=info["port"],
        user=info["user"],
        password=info["password"],
        options="",
        maintenance_dbname="postgres",
        template_dbname=None,
    )
    server.stop()


def _install(**where: Any) -> None:
    dsn = make_conninfo(**{key: value for key, value in where.items() if key != "autocommit"})
    migrate(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        # half the size, as every clone is to be; the install leaves its own old versions there
        conn.execute("vacuum full pg_proc, pg_depend, pg_description, pg_attribute, pg_class")


pg_template = factories.postgresql_noproc(
    depends_on="pg_server", dbname="installed", load=[_install]
)


@dataclass
class Databases:
    """Makes databases on the test server and drops them."""

    maintenance: str
    conn: psycopg.Connection
    template: str

    def create(self, name: str, template: str | None) -> str:
        """A new database, a copy of `template` (template0 without one); its DSN."""
        self.conn.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        self.conn.execute(
            sql.SQL("alter database {} set plpgsql.extra_errors = {}").format(
                sql.Identifier(name), PLPGSQL_CHECKS
            )
        )
        return make_conninfo(self.maintenance, dbname=name)

    def drop(self, name: str) -> None:
        """Drop it, whoever is connected."""
        self.conn.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


@pytest.fixture(scope="session")
def databases(pg_template: NoopExecutor) -> Iterator[Databases]:
    """For tests that want databases of their own."""
    dsn = make_conninfo(
        host=pg_template.host,
        port=pg_template.port,
        user=pg_template.user,
        password=pg_template.password,
        dbname="postgres",
    )
    with psycopg.connect(dsn, autocommit=True) as conn:
        yield Databases(dsn, conn, pg_template.template_dbname)


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a `.env` of whoever runs the tests is seen."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("SLUICE_", "PG_BIN")) or name in KNOWN:
            monkeypatch.delenv(name)


_numbers = count(1)


@pytest.fixture
def dsn(databases: Databases) -> Iterator[str]:
    """A fresh database with pgsluice installed."""
    name = f"test_{next(_numbers)}"
    yield databases.create(name, databases.template)
    databases.drop(name)


@pytest.fixture
def empty_dsn(databases: Databases) -> Iterator[str]:
    """A fresh database with nothing in it."""
    name = f"test_{next(_numbers)}"
    yield databases.create(name, None)
    databases.drop(name)


@pytest.fixture
def conn(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to `dsn`, in autocommit."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


class Psql:
    """Runs psql -X on a database: psql("select 1"), psql(file=path), with variables as keywords."""

    def __init__(self, program: Path, dsn: str) -> None:
        self.program, self.dsn = program, dsn

    def __call__(self, script: str = "", *, file: Path | None = None, **variables: str) -> str:
        """What psql printed, unaligned and without headers; fails with psql's own words."""
        done = self.run(script, file=file, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(
        self, script: str = "", *, file: Path | None = None, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """The finished process, whatever its exit code."""
        given = [word for pair in variables.items() for word in ("-v", "=".join(pair))]
        command = [self.program, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *given, "-d", self.dsn]
        if file:
            command += ["-f", file]
        return subprocess.run(command, input=script, capture_output=True, text=True, check=False)


@pytest.fixture
def psql(pg_bindir: Path, dsn: str) -> Psql:
    """psql on the same database as `dsn` and `conn`."""
    return Psql(pg_bindir / "psql", dsn)


@dataclass
class Service:
    """A running `pgsluice serve` in a process of its own."""

    url: str
    dsn: str
    process: "subprocess.Popen[str]"


def serve(*arguments: str, cwd: Path, **environ: str) -> "subprocess.Popen[str]":
    """Start `pgsluice serve` on a free port; read its first line for the address."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLUICE_", "PG")) and name not in KNOWN
    }
    kept["PYTHONPATH"] = str(TOP / "src")
    command = [sys.executable, "-m", "pgsluice", "serve", "--port", "0", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env={**kept, **environ}, text=True, stdout=subprocess.PIPE
    )


def address(process: "subprocess.Popen[str]") -> str:
    """The base URL that a service printed when it was ready."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
    raise AssertionError(f"serve ended with exit code {process.wait()} before it was ready")


@pytest.fixture(scope="module")
def start_service(databases: Databases, open_tmp: Path) -> Iterator[Callable[..., Service]]:
    """Starts services on clones; environment variables as keywords. All end with the module.

    `beside` another service, the new one works on that one's database.
    """
    started: list[Service] = []
    clones: list[str] = []

    def start(beside: Service | None = None, **environ: str) -> Service:
        if beside is None:
            clones.append(f"service_{next(_numbers)}")
        dsn = beside.dsn if beside else databases.create(clones[-1], databases.template)
        process = serve(cwd=open_tmp, DATABASE_URL=dsn, **environ)
        started.append(Service("", dsn, process))
        started[-1].url = address(process)
        return started[-1]

    yield start
    for service in started:
        stop(service.process)
    for name in clones:
        databases.drop(name)


def stop(process: "subprocess.Popen[str]") -> int:
    """End a service as Ctrl-C does, and by force when that takes too long; its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
    return process.returncode


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Service]) -> Service:
    """A running service on a clone of its own, shared by the tests of one module."""
    return start_service()
