"""A client on the running service, and a look behind it."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest

USERS = b"email,name,role\nann@example.org,Ann,reader\nbob@example.org,Bob,author\n"
# A merge into users that lasts for some seconds: two steps, each longer by what a pause is.
ROWS = 60_000
SLOW = """
create table public.pause as select 1 as seconds;
grant select on public.pause to public;
create function public.slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(seconds) from public.pause; return null; end $$;
create trigger slow after insert on app.users for each statement execute function public.slow();
"""
UNSLOW = "drop function public.slow() cascade; drop table public.pause"


@pytest.fixture(scope="module")
def http(service: Any) -> Iterator[httpx.Client]:
    """A client whose base is the service."""
    # the service closes idle connections after 5 s, which must not cross a request on its way
    limits = httpx.Limits(keepalive_expiry=2)
    with httpx.Client(base_url=service.url, timeout=60, limits=limits) as client:
        yield client


@pytest.fixture(scope="module")
def database(service: Any) -> Iterator[psycopg.Connection]:
    """The database of the service."""
    with psycopg.connect(service.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def uploads(database: psycopg.Connection) -> Callable[[], int]:
    """Counts what uploads under way have made: jobs still receiving, and stages of no job."""

    def count() -> int:
        found = database.execute(
            "select (select count(*) from sluice.job where state = 'receiving') + ("
            "  select count(*) from pg_class as c"
            "  where c.relnamespace = 'sluice_stage'::regnamespace and c.relkind = 'r'"
            "    and not exists (select from sluice.job as j"
            "      where c.relname like '%' || replace(j.job_id::text, '-', '') || '%'))"
        ).fetchone()
        assert found
        return int(found[0])

    return count


@pytest.fixture
def post(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Posts users as CSV and waits for the end; query options as keywords."""

    def send(content: bytes = USERS, headers: Any = (), **options: str) -> httpx.Response:
        return http.post(
            "/v1/imports",
            params={"resource": "users", **options},
            content=content,
            headers={"Content-Type": "text/csv", "Prefer": "wait=30", **dict(headers)},
        )

    return send


@pytest.fixture
def wire(service: Any) -> Callable[..., socket.socket]:
    """A bare connection, with the head of a request already sent."""

    def connect(head: str, body: bytes = b"") -> socket.socket:
        where = urlsplit(service.url)
        connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=60)
        lines = [*head.strip().splitlines(), f"Host: {where.netloc}", "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)
        return connection

    return connect


@pytest.fixture
def slow(database: psycopg.Connection) -> Iterator[None]:
    """Each step of a merge into users takes a second more, or what pause() says."""
    database.execute(SLOW.encode())
    yield
    database.execute(UNSLOW.encode())


@pytest.fixture
def running(http: httpx.Client, slow: None) -> Callable[[], str]:
    """Posts an import that is in the middle of its merge; its id."""

    def start() -> str:
        reply = http.post(
            "/v1/imports?resource=users",
            content=new_users(ROWS),
            headers={"Content-Type": "text/csv"},
        )
        assert reply.status_code == 202
        job_id = str(reply.json()["job_id"])
        until(lambda: job_of(http, job_id)["phase"] == "merge")
        return job_id

    return start


def pause(database: psycopg.Connection, seconds: int) -> None:
    """How much longer each step of a slow merge takes that begins from now on."""
    database.execute("update public.pause set seconds = %s", [seconds])


def until(look: Callable[[], Any], seconds: float = 20) -> Any:
    """What `look` returns once that is true."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"nothing after {seconds} s"
        time.sleep(0.02)
    return seen


def job_of(http: httpx.Client, job_id: str) -> dict[str, Any]:
    return dict(http.get(f"/v1/imports/{job_id}").json())


def is_problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that the reply must be."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["error"] == problem["detail"]
    assert problem.keys() >= {"type", "title", "instance"}
    return problem


def read_all(connection: socket.socket) -> bytes:
    """Everything until the peer closes."""
    received = b""
    while block := connection.recv(65536):
        received += block
    return received


def new_users(count: int) -> bytes:
    """A CSV of users that no other test has."""
    tag = uuid4().hex[:12]
    lines = (f"u{number}.{tag}@example.org,User {number},reader" for number in range(count))
    return ("email,name,role\n" + "\n".join(lines) + "\n").encode()
