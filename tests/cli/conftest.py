"""`pgsluice …` as a process of its own, on a pipe or in a terminal, against a real service."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from pgsluice.aliases import KNOWN

from ..conftest import TOP, Service
from .terminal import Terminal

USERS = "email,name,role\nann@example.org,Ann,reader\nbob@example.org,Bob,author\n"
MIXED = "email,name,role\ncem@example.org,Cem,reader\nnobody,Dee,boss\nfay@example.org,,reader\n"


def environment(**given: str) -> dict[str, str]:
    """The environment of a command: nothing of pgsluice's but what is given."""
    foreign = ("SLUICE_", "PG", "DATABASE_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign) and k not in KNOWN}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        kept.pop(name, None)
    return {**kept, "PYTHONPATH": str(TOP / "src"), "TERM": "xterm", **given}


class Command:
    """Runs `pgsluice` with these words; the service of the module is where it looks."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder, self.environ = folder, environ

    def start(self, *words: object, **more: Any) -> "subprocess.Popen[bytes]":
        """Start it."""
        line = [sys.executable, "-m", "pgsluice", *map(str, words)]
        environ = environment(**{**self.environ, **more.pop("environ", {})})
        return subprocess.Popen(line, cwd=self.folder, env=environ, **more)

    def __call__(
        self, *words: object, stdin: bytes = b"", **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """What became of it."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with self.start(*words, environ=environ, **pipes) as process:
            out, err = process.communicate(stdin, timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out.decode(), err.decode())

    def shell(self, script: str) -> Terminal:
        """Run a line of sh in a terminal; $PROGRAM is `pgsluice`."""
        environ = environment(**self.environ, PROGRAM=f"{sys.executable} -m pgsluice")
        return Terminal(["sh", "-c", script], self.folder, environ, 100)

    def terminal(self, *words: object, columns: int = 100) -> Terminal:
        """Start it in a terminal."""
        line = [sys.executable, "-m", "pgsluice", *map(str, words)]
        return Terminal(line, self.folder, environment(**self.environ), columns)


@pytest.fixture
def command(service: Service, tmp_path: Path) -> Command:
    """`pgsluice …` in an empty folder, as whoever has the service's URL and the database's."""
    return Command(tmp_path, SLUICE_URL=service.url, DATABASE_URL=service.dsn)


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the service, to look at what a command did."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


@pytest.fixture
def database(service: Service) -> Iterator[psycopg.Connection]:
    """The database of the service, with empty tables afterwards."""
    with psycopg.connect(service.dsn, autocommit=True) as connection:
        yield connection
        connection.execute("set client_min_messages = warning; truncate app.users cascade")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of users into the folder of the command."""

    def make(name: str = "users.csv", text: str = USERS) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def in_a_line(done: "subprocess.CompletedProcess[str]", code: int = 1) -> str:
    """What a command that failed has said: one line, and nothing on stdout."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("pgsluice: ")
    return done.stderr


def million(count: int, tag: str) -> str:
    """A CSV of so many users that no other test has."""
    lines = (f"u{number}.{tag}@example.org,User {number},reader" for number in range(count))
    return "email,name,role\n" + "\n".join(lines) + "\n"
