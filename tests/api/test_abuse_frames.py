"""Requests that two servers could read in two ways, heads without end, and other bad frames."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import read_all

Ask = Callable[[bytes], bytes]
HOST = b"Host: localhost\r\n"
CSV = b"POST /v1/imports?resource=users HTTP/1.1\r\n" + HOST + b"Content-Type: text/csv\r\n"
HIDDEN = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def connect(service: Any) -> Iterator[Callable[[], socket.socket]]:
    """Opens bare connections to the service."""
    where = service.url.removeprefix("http://").partition(":")
    opened: list[socket.socket] = []

    def connection() -> socket.socket:
        opened.append(socket.create_connection((where[0], int(where[2])), timeout=30))
        return opened[-1]

    yield connection
    for one in opened:
        one.close()


@pytest.fixture
def ask(connect: Callable[[], socket.socket]) -> Ask:
    """Sends bytes; all that comes back until the service closes the connection."""

    def send(data: bytes) -> bytes:
        connection = connect()
        connection.sendall(data)
        return read_all(connection)

    return send


def statuses(received: bytes) -> list[int]:
    """The status of each reply in what came back."""
    parts = received.split(b"HTTP/1.1 ")[1:]
    return [int(part[:3]) for part in parts]


FRAMES = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "another coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a sign": b"Content-Length: +3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "one length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a hexadecimal length": b"Content-Length: 0x3\r\n\r\nabc",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n",
    "a chunk of 2^68 bytes": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nabc\r\n",
    "a chunk's line feed alone": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "an upgrade with a body": b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 40\r\n\r\n",
    "an upgrade with chunks": b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n26\r\n",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_no_request_hides_in_another_one(ask: Ask, frame: bytes) -> None:
    [status] = statuses(ask(CSV + frame + HIDDEN))
    assert status in (400, 501)


def test_no_request_hides_behind_an_upgrade(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    head = b"POST /v1/exports HTTP/1.1\r\n" + HOST + b"Content-Length: 40\r\n"
    connection.sendall(head + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    time.sleep(0.3)
    connection.sendall(HIDDEN)
    assert statuses(read_all(connection)) == [400]


def test_what_follows_a_request_for_another_protocol_is_not_read(ask: Ask) -> None:
    head = b"GET /live HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert statuses(ask(head + HIDDEN)) == [200]


HEADS = {
    "two hosts": b"GET /v1/jobs HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "no host": b"GET /v1/jobs HTTP/1.1\r\n\r\n",
    "a target of another host": b"GET http://evil.example/v1/jobs HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is only a host": b"GET http://evil.example HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "line feeds alone": b"GET /v1/jobs HTTP/1.1\nHost: localhost\n\n",
    "a carriage return in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n",
    "a folded value": b"GET /v1/jobs HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "NUL in a value": b"GET /v1/jobs HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "NUL in the target": b"GET /v1/jobs\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the target": b"GET /v1/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/exports HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_that_is_none_is_400_and_ends_the_connection(ask: Ask, head: bytes) -> None:
    received = ask(head)
    assert statuses(received) == [400]
    assert b"application/problem+json" in received


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/jobs HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
        (b"GET http://localhost/v1/jobs HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"GET /v1/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /v1/../health HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET //evil.example/%2e%2e HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /v1/resources/%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: GET\r\n", 405),
        (b"TRACE /v1/jobs HTTP/1.1\r\nHost: localhost\r\n", 405),
        (b"PROPFIND /v1/jobs HTTP/1.1\r\nHost: localhost\r\n", 405),
    ],
)
def test_an_odd_head_gets_one_plain_answer(ask: Ask, head: bytes, status: int) -> None:
    if not head.endswith(b"\r\n\r\n"):
        head += b"Connection: close\r\n\r\n"
    received = ask(head)
    assert statuses(received) == [status], received
    if status == 405:
        assert b"\r\nallow: " in received


@pytest.mark.parametrize(
    "line", [b"GET /v1/resources/%00", b"DELETE /v1/schedules/a%00b", b"DELETE /v1/keys/%00"]
)
def test_nul_in_a_path_names_nothing(ask: Ask, line: bytes) -> None:
    head = line + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    assert statuses(ask(head)) in ([400], [404])


FLOODS = {
    "a value": b"X: " + b"y" * 70_000,
    "a name": b"x" * 70_000,
    "a cookie": b"Cookie: " + b"a=b;" * 20_000,
    "many fields": b"".join(b"X%d: y\r\n" % number for number in range(101)) + b"\r\n",
    "an endless value": b"X: " + b"y" * 20_000_000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_head_is_64_kb_and_a_hundred_fields_at_most(
    connect: Callable[[], socket.socket], flood: bytes
) -> None:
    connection = connect()
    connection.sendall(b"GET /live HTTP/1.1\r\n" + HOST + flood)
    assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_a_long_target_is_431_and_one_of_60_kb_is_read(ask: Ask) -> None:
    rest = b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    assert statuses(ask(b"GET /live?" + b"a" * 70_000 + rest)) == [431]
    assert statuses(ask(b"GET /live?" + b"a" * 60_000 + rest)) == [200]


@pytest.mark.parametrize(
    "frame",
    [
        b"2;" + b"x" * 200_000,
        b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 200,
        b"2\r\n{}\r\n0\r\nX: " + b"y" * 200_000,
    ],
    ids=["an extension", "many trailers", "a long trailer"],
)
def test_what_frames_a_body_may_not_outweigh_it(
    connect: Callable[[], socket.socket], frame: bytes
) -> None:
    head = b"POST /v1/exports HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    connection = connect()
    connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + frame)
    assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_chunks_of_one_byte_are_a_body_like_any_other(ask: Ask) -> None:
    body = b"email,name\n" + b"a@b.example,A\n" * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    head = CSV + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(ask(head + chunks + b"0\r\n\r\n")) == [202]


def test_a_few_requests_may_be_sent_ahead_and_thousands_not(
    connect: Callable[[], socket.socket],
) -> None:
    few = connect()
    few.sendall(HIDDEN * 9 + HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert statuses(read_all(few)) == [200] * 10
    many = connect()
    many.settimeout(10)
    try:
        many.sendall(HIDDEN * 10_000)
        answered = len(statuses(read_all(many)))
    except ConnectionError:
        answered = 0
    assert answered < 100


def test_a_head_has_twenty_seconds_however_it_drips(connect: Callable[[], socket.socket]) -> None:
    started = time.monotonic()
    silent, cut, dripping = connect(), connect(), connect()
    cut.sendall(b"GET /live HT")
    dripping.settimeout(1)
    received = b""
    while not received and time.monotonic() - started < 30:
        dripping.sendall(b"\r\n")
        try:
            received = dripping.recv(65536)
        except TimeoutError:
            continue
    assert received.startswith(b"HTTP/1.1 408 ")
    assert statuses(read_all(cut)) == [408]
    assert read_all(silent) == b""
    assert 15 < time.monotonic() - started < 29
