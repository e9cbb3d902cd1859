"""Clients that take their time, and too many of them."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from ..conftest import Service
from .conftest import USERS, is_problem, read_all, until

Wire = Callable[..., socket.socket]
IDLE = 4
POST = "POST /v1/imports?resource=users HTTP/1.1\nContent-Type: text/csv\n"


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Service]) -> Service:
    """A service of little patience."""
    return start_service(SLUICE_UPLOAD_IDLE=str(IDLE), SLUICE_DOWNLOAD_IDLE=str(IDLE))


@pytest.fixture
def uploading(wire: Wire) -> Iterator[Callable[[], socket.socket]]:
    """Begins uploads that go no further than their first line."""
    with ExitStack() as opened:

        def begin() -> socket.socket:
            head = POST + "Content-Length: 100000\nIdempotency-Key: slow"
            begun = wire(head.replace("slow", f"slow-{time.monotonic_ns()}"), b"email,name\n")
            return opened.enter_context(begun)

        yield begin


def status_of(connection: socket.socket) -> int:
    return int(read_all(connection).split(b" ")[1])


def megabytes(service: Service) -> int:
    """The memory of the process that serves."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def test_a_body_that_stops_is_408_and_leaves_nothing(
    uploading: Callable[[], socket.socket], uploads: Callable[[], int], http: httpx.Client
) -> None:
    started = time.monotonic()
    assert status_of(uploading()) == 408
    assert IDLE <= time.monotonic() - started < IDLE + 40
    until(lambda: uploads() == 0)


def test_a_body_that_drips_is_408(uploading: Callable[[], socket.socket]) -> None:
    started, connection, received = time.monotonic(), uploading(), b""
    connection.settimeout(0.2)
    while not received and time.monotonic() - started < 60:
        connection.sendall(b"x")
        try:
            received = connection.recv(65536)
        except TimeoutError:
            continue
    connection.settimeout(30)
    received += read_all(connection)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"SLUICE_UPLOAD_IDLE" in received


@pytest.mark.parametrize("path", ["/v1/exports", "/v1/schedules", "/v1/keys"])
def test_a_small_body_that_stops_is_408_too(wire: Wire, path: str) -> None:
    head = f"POST {path} HTTP/1.1\nContent-Type: application/json\nContent-Length: 9"
    with wire(head, b"{") as connection:
        assert status_of(connection) == 408


def test_a_slow_body_that_goes_on_is_taken(http: httpx.Client) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"email,name,role\n"
        for number in range(4):
            time.sleep(IDLE * 0.6)
            yield b"".join(b"slow%d.%d@example.org,A,reader\n" % (number, n) for n in range(60))

    headers = {"Content-Type": "text/csv", "Prefer": "wait=30"}
    reply = http.post("/v1/imports?resource=users", content=blocks(), headers=headers)
    assert reply.json()["counts"]["inserted"] == 240


def test_one_upload_too_many_is_told_to_come_back(start_service: Callable[..., Service]) -> None:
    crowded = start_service(SLUICE_MAX_UPLOADS="3")
    host, _, port = crowded.url.removeprefix("http://").partition(":")
    head = "\r\n".join([*POST.splitlines(), "Host: localhost", "Content-Length: 99", "", ""])

    def post() -> httpx.Response:
        url, csv = f"{crowded.url}/v1/imports?resource=users", {"Content-Type": "text/csv"}
        return httpx.post(url, content=USERS, headers=csv, timeout=30)

    with ExitStack() as opened:
        for _ in range(3):
            begun = opened.enter_context(socket.create_connection((host, int(port)), timeout=30))
            begun.sendall(head.encode() + b"email,name\n")
        # a post of ours must not take one of their places
        time.sleep(2)
        reply = until(lambda: (found := post()).status_code == 503 and found)
        assert "too many uploads" in is_problem(reply, 503)["detail"]
        assert reply.headers["retry-after"] == "2"
        assert httpx.get(f"{crowded.url}/v1/jobs").status_code == 200
    assert until(lambda: post().status_code == 202)


def test_uploads_that_leave_give_their_places_and_keys_back(
    uploading: Callable[[], socket.socket],
    uploads: Callable[[], int],
    post: Callable[..., httpx.Response],
    database: psycopg.Connection,
) -> None:
    for _ in range(20):
        uploading().close()
    until(lambda: post().status_code == 200)
    until(lambda: uploads() == 0)
    kept = "select count(*) from sluice.idempotency where key like 'slow-%'"
    until(lambda: database.execute(kept.encode()).fetchone() == (0,))


def test_refused_requests_keep_no_idempotency_keys(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    for number in range(50):
        key = {"Idempotency-Key": f"flood-{number}"}
        csv = {"Content-Type": "text/csv", **key}
        http.post("/v1/imports?resource=users", content=b"\0", headers=csv)
        http.post("/v1/imports?resource=none", content=USERS, headers=csv)
        http.post("/v1/exports", content=json.dumps({"resource": "none"}), headers=key)
    found = database.execute("select count(*) from sluice.idempotency where key like 'flood-%'")
    assert found.fetchone() == (0,)


def test_a_client_that_reads_nothing_loses_its_connection(
    service: Service, wire: Wire, database: psycopg.Connection
) -> None:
    database.execute(
        "insert into app.users (email, name, role)"
        " select 'r' || n || '@example.org', repeat('x', 200), 'reader'"
        " from generate_series(1, 60000) as n"
    )
    running = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and query ilike 'copy%' and state = 'active'"
    )
    # Twenty megabytes: more than the buffers between us hold.
    with wire("GET /v1/exports?resource=users HTTP/1.1"):
        until(lambda: database.execute(running.encode()).fetchone() != (0,))
        until(lambda: database.execute(running.encode()).fetchone() == (0,))


def test_a_thousand_idle_connections_cost_little_and_go(service: Service, wire: Wire) -> None:
    before = megabytes(service)
    with ExitStack() as opened:
        for _ in range(900):
            connection = opened.enter_context(wire("GET /live HTTP/1.1"))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert megabytes(service) - before < 100
        assert httpx.get(f"{service.url}/v1/jobs").status_code == 200
        # Five seconds after its reply a connection that asks for nothing more is closed.
        read_all(connection)
