"""Services that are killed and started again, and clients that behave badly."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from ..conftest import address, serve, stop
from .client import Client
from .fleet import Fleet, Server, until

ENDED = ("completed", "failed", "cancelled")


@dataclass
class House:
    """One database, and the services that come and go on it."""

    cwd: Path
    dsn: str
    url: str = ""
    processes: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def open(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start a service; `url` is the newest one."""
        place = {} if "--data-dir" in arguments else {"DATABASE_URL": self.dsn}
        process = serve(*arguments, cwd=self.cwd, **place, **environ)
        self.processes.append(process)
        self.url = address(process)
        return process

    def kill(self) -> None:
        """Kill the newest service as a crash of the machine would."""
        process = self.processes[-1]
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def close(self) -> None:
        """End all services."""
        for process in self.processes:
            stop(process)
        self.processes.clear()

    def post(self, users: bytes, **headers: str) -> str:
        """Post users as CSV; the id of the job."""
        reply = httpx.post(
            f"{self.url}/v1/imports?resource=users",
            content=users,
            headers={"Content-Type": "text/csv", **headers},
            timeout=60,
        )
        assert reply.status_code == 202, reply.text
        return str(reply.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it is now."""
        return dict(httpx.get(f"{self.url}/v1/imports/{job_id}", timeout=30).json())

    def ended(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        return until(lambda: found(self.job(job_id)), seconds)


def found(job: dict[str, Any]) -> dict[str, Any] | None:
    return job if job["status"] in ENDED else None


@pytest.fixture
def house(open_tmp: Path, dsn: str) -> Iterator[House]:
    """A fresh database; services on it end with the test."""
    home = House(open_tmp, dsn)
    yield home
    home.close()


def users(first: int, count: int) -> bytes:
    """CSV of `count` users from number `first` on; each 100th has no address."""
    lines = (
        f"{'nobody' if n % 100 == 99 else f'u{n}@example.org'},User {n},reader"
        for n in range(first, first + count)
    )
    return ("email,name,role\n" + "\n".join(lines) + "\n").encode()


class Drip:
    """An upload whose bytes come when the test says so."""

    def __init__(self, url: str, *headers: str) -> None:
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname or "", where.port or 0), 30)
        head = (
            "POST /v1/imports?resource=users HTTP/1.1",
            f"Host: {where.netloc}",
            "Content-Type: text/csv",
            "Transfer-Encoding: chunked",
            *headers,
        )
        self._socket.sendall(("\r\n".join(head) + "\r\n\r\n").encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> dict[str, Any]:
        """End the body; the job of the reply."""
        self._socket.sendall(b"0\r\n\r\n")
        with self._socket.makefile("rb") as reply:
            assert b" 202 " in reply.readline()
            length = 0
            while line := reply.readline().strip():
                name, _, value = line.partition(b": ")
                if name.lower() == b"content-length":
                    length = int(value)
            return dict(json.loads(reply.read(length)))


def one(conn: psycopg.Connection, query: str) -> Any:
    """The single value of a query."""
    row = conn.execute(query.encode()).fetchone()
    assert row
    return row[0]


def stages(conn: psycopg.Connection) -> int:
    """How many per-job tables there are."""
    return int(one(conn, "select count(*) from pg_tables where schemaname = 'sluice_stage'"))


def postmaster(data_dir: Path) -> int:
    """The process of an embedded server."""
    return int((data_dir / "data" / "postmaster.pid").read_text().split()[0])


@pytest.fixture(scope="session")
def server(open_tmp: Path, pg_bindir: Path) -> Iterator[Server]:
    """A Postgres with the settings of production, which tests may crash."""
    server = Server(open_tmp / "fleet", pg_bindir)
    yield server
    server.close()


_fleets = count(1)


@pytest.fixture
def new_fleet(server: Server, open_tmp: Path) -> Iterator[Callable[..., Fleet]]:
    """Makes fleets on databases of their own, settings as keywords; all end with the test."""
    with ExitStack() as stack:

        def make(**settings: str) -> Fleet:
            name = f"fleet_{next(_fleets)}"
            (open_tmp / name).mkdir()
            made = Fleet(server, name, server.create(name), open_tmp / name, settings)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    """One such fleet, with nothing running yet."""
    return new_fleet()


@pytest.fixture
def client(fleet: Fleet) -> Iterator[Client]:
    """A client that sends again what the fleet's APIs did not answer."""
    with fleet.client() as client:
        yield client
