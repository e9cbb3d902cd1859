"""A small estate of our own: a Postgres, APIs and workers, each to be killed and started again."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgsluice import embedded
from pgsluice.migrate import migrate

from ..conftest import PLPGSQL_CHECKS, TOP
from .client import Client

TEMPLATE = "fleet_template"
# What a production server has, but for the disk: recovery must be real, flushes need not be.
SETTINGS = {"fsync": "off", "shared_buffers": "64MB", "log_min_messages": "fatal"}


class Server:
    """A Postgres that can be stopped like a crashed one; its port stays."""

    def __init__(self, folder: Path, bindir: Path) -> None:
        self._folder, self._bindir = folder, bindir
        self._server = self._start()
        self._maintenance = make_conninfo(self._server.dsn, dbname="postgres")
        try:
            self._run(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
            migrate(make_conninfo(self._server.dsn, dbname=TEMPLATE))
        except BaseException:
            self.close()
            raise

    def _start(self) -> embedded.Server:
        return embedded.start(self._folder, pg_bin=str(self._bindir), settings=SETTINGS)

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._maintenance, autocommit=True) as conn:
            conn.execute(statement)

    def create(self, name: str) -> str:
        """A fresh database with pgsluice installed; its DSN."""
        made = sql.SQL("create database {} template {} strategy file_copy")
        self._run(made.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        checks = sql.SQL("alter database {} set plpgsql.extra_errors = {}")
        self._run(checks.format(sql.Identifier(name), PLPGSQL_CHECKS))
        return make_conninfo(self._server.dsn, dbname=name)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        dropped = sql.SQL("drop database if exists {} with (force)")
        self._run(dropped.format(sql.Identifier(name)))

    def crash(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, unlogged tables are empty afterwards."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), 30)

    def recover(self) -> None:
        """Start it again after a crash, where it was."""
        self._server.stop()
        before, self._server = self._server.dsn, self._start()
        assert self._server.dsn == before, "all who use it know its port"

    def kept_running(self) -> AbstractContextManager[None]:
        """For as long as the block lasts, it is started again whenever it has ended."""
        return self._server.kept_running()

    def close(self) -> None:
        """End it for good."""
        self._server.stop()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@dataclass
class Member:
    """One `pgsluice` process, its log, and the word by which it says that it is ready."""

    arguments: list[str]
    environ: dict[str, str]
    log: Path
    ready: str
    process: "subprocess.Popen[bytes] | None" = None
    url: str = ""
    _from: int = 0

    def start(self) -> Self:
        """Start it, in a process group of its own; wait() tells when it is ready."""
        self._from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pgsluice", *self.arguments],
                cwd=self.log.parent,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def wait(self, seconds: float = 60) -> Self:
        """Wait until it is ready."""
        until(self._is_settled, seconds)
        return self

    def _is_settled(self) -> bool:
        assert self.runs(), f"it ended: {self.said()[-2000:]}"
        return self.is_ready()

    def is_ready(self) -> bool:
        """Whether it has said so since it was started last."""
        return re.search(f"^{self.ready}", self.said(), re.MULTILINE) is not None

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def said(self) -> str:
        """Its log since it was started last."""
        return self.log.read_bytes()[self._from :].decode(errors="replace")

    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9 of the process and all that it may have started."""
        self._end(signal.SIGKILL, 10)

    def terminate(self, seconds: float = 20) -> int:
        """SIGTERM, and what became of it: its exit code."""
        return self._end(signal.SIGTERM, seconds)

    def _end(self, number: int, seconds: float) -> int:
        assert self.process
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        return self.process.wait(seconds)


@dataclass
class Fleet:
    """APIs and workers on one database and one file store."""

    server: Server
    name: str
    dsn: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    apis: list[Member] = field(default_factory=list)
    workers: list[Member] = field(default_factory=list)

    @property
    def store(self) -> Path:
        """The folder of the files of exports."""
        return self.folder / "files"

    def api(self, **environ: str) -> Member:
        """Another API, without a worker; ready, on a port that it keeps."""
        port = _free_port()
        arguments = ["serve", "--no-worker", "--port", str(port)]
        self.apis.append(self._member(arguments, f"api{len(self.apis)}", "listening on ", environ))
        self.apis[-1].url = f"http://127.0.0.1:{port}"
        return self.apis[-1].start().wait()

    def worker(self, *, wait: bool = True, **environ: str) -> Member:
        """Another worker, ready if it is waited for."""
        name = f"worker{len(self.workers)}"
        self.workers.append(self._member(["worker"], name, "working", environ))
        started = self.workers[-1].start()
        return started.wait() if wait else started

    def _member(self, arguments: list[str], name: str, ready: str, given: dict[str, str]) -> Member:
        foreign = ("SLUICE_", "PG", "DATABASE_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        own = {"PYTHONPATH": str(TOP / "src"), "DATABASE_URL": self.dsn}
        environ = {**kept, **own, "SLUICE_STORE": str(self.store), **self.settings, **given}
        return Member(arguments, environ, self.folder / f"{name}.log", ready)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client that takes the APIs in turn."""
        client = Client(lambda: [api.url for api in self.apis])
        try:
            yield client
        finally:
            client.close()

    def connect(self) -> psycopg.Connection:
        """A connection of the test itself, in autocommit."""
        return psycopg.connect(self.dsn, autocommit=True, application_name="test")

    def one(self, query: str) -> Any:
        """The single value of a query, over a connection of its own."""
        with self.connect() as conn:
            row = conn.execute(query.encode()).fetchone()
        assert row
        return row[0]

    def run(self, script: str) -> None:
        """Execute a script, over a connection of its own."""
        with self.connect() as conn:
            conn.execute(script.encode())

    def tracebacks(self) -> list[str]:
        """Errors that no member expected, as their logs tell them."""
        return [
            f"{file.name}: {line[-3000:]}"
            for file in sorted(self.folder.glob("*.log"))
            for line in file.read_text(errors="replace").splitlines()
            if "Traceback" in line
        ]

    def close(self) -> None:
        """Kill all that runs, then drop the database."""
        for member in (*self.workers, *self.apis):
            if member.runs():
                member.kill()
        self.server.drop(self.name)


def _free_port() -> int:
    """A port below those of outgoing connections: it is still free after a kill."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(look: Any, seconds: float = 30, pause: float = 0.02) -> Any:
    """What `look` returns once that is true."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"nothing after {seconds} s"
        time.sleep(pause)
    return seen
