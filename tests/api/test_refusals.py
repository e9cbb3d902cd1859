"""What is refused, how early, and that nothing is left of it."""

import gzip
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from .conftest import USERS, is_problem, new_users, read_all

Wire = Callable[..., socket.socket]
Uploads = Callable[[], int]
CSV = {"Content-Type": "text/csv"}


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("", "resource"),
        ("resource=nope", "users"),
        ("resource=users&mod=insert", "'mode'"),
        ("resource=users&mode=perhaps", "mode"),
        ("resource=users&mode=insert&mode=update", "twice"),
        ("resource=users&resourceType=articles", "twice"),
        ("resource=users&mapping=[1]", "mapping"),
        ("resource=users&defaults={", "defaults"),
        ("resource=users&max_errors=many", "max_errors"),
        ("resource=users&format=xml", "format"),
        ("resource=users&encoding=zlib", "encoding"),
        ("resource=users&delimiter=abc", "delimiter"),
        ("resource=users&url=https://example.org/u.csv", "brings a file"),
    ],
)
def test_a_wrong_query_is_refused(
    http: httpx.Client, uploads: Uploads, query: str, word: str
) -> None:
    reply = http.post(f"/v1/imports?{query}", content=USERS, headers=CSV)
    assert word in is_problem(reply, 400)["detail"]
    assert uploads() == 0


def test_a_format_that_nothing_tells_is_refused(http: httpx.Client) -> None:
    detail = is_problem(http.post("/v1/imports?resource=users", content=USERS), 400)["detail"]
    assert "format=" in detail


@pytest.mark.parametrize("query", ["", "?resource=users"])
def test_a_lone_object_without_a_url_is_no_list(http: httpx.Client, query: str) -> None:
    body = {"resource": "users", "email": "ann@example.org"}
    assert "array" in is_problem(http.post(f"/v1/imports{query}", json=body), 400)["detail"]


def test_an_unknown_content_encoding_is_415(http: httpx.Client) -> None:
    headers = CSV | {"Content-Encoding": "br"}
    reply = http.post("/v1/imports?resource=users", content=USERS, headers=headers)
    is_problem(reply, 415)
    assert reply.headers["accept-encoding"] == "gzip, zstd"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "resource"),
        ({"resource": "nope"}, "users"),
        ({"resource": "users", "colour": "red"}, "colour"),
        ({"resource": "users", "mode": "perhaps"}, "mode"),
    ],
)
def test_a_wrong_form_is_refused(
    http: httpx.Client, uploads: Uploads, fields: dict[str, str], word: str
) -> None:
    reply = http.post("/v1/imports", data=fields, files={"file": ("u.csv", USERS)})
    assert word in is_problem(reply, 400)["detail"]
    assert uploads() == 0


def test_a_form_without_a_file_is_refused(http: httpx.Client) -> None:
    reply = http.post("/v1/imports?resource=users", files={"resource": (None, "users")})
    assert "file" in is_problem(reply, 400)["detail"]


def test_an_option_of_parsing_behind_the_file_is_refused(http: httpx.Client) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="u.csv"\r\n\r\n' + USERS
    ) + b'\r\n--B\r\nContent-Disposition: form-data; name="delimiter"\r\n\r\n;\r\n--B--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    reply = http.post("/v1/imports?resource=users", content=body, headers=headers)
    assert "before the file" in is_problem(reply, 400)["detail"]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_format_behind_the_file_must_be_the_one_it_was_read_in(
    http: httpx.Client, kind: str
) -> None:
    form = [("file", ("u.csv", USERS)), ("resource", (None, "users")), ("format", (None, kind))]
    reply = http.post("/v1/imports", files=form)
    if kind == "csv":
        assert reply.status_code == 202
    else:
        assert "before the file" in is_problem(reply, 400)["detail"]


def test_a_refused_option_is_told_as_it_was_sent(http: httpx.Client) -> None:
    reply = http.post("/v1/imports?resource=users&mode=other", content=USERS, headers=CSV)
    assert is_problem(reply, 400)["detail"] == (
        "option mode cannot be 'other'. it takes one of upsert, insert, update"
    )


@pytest.mark.parametrize("boundary", ["", "; boundary=other"])
def test_a_wrong_boundary_is_refused(http: httpx.Client, uploads: Uploads, boundary: str) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n--B--\r\n'
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    is_problem(http.post("/v1/imports?resource=users", content=body, headers=headers), 400)
    assert uploads() == 0


def test_truncated_gzip_is_refused_and_leaves_nothing(http: httpx.Client, uploads: Uploads) -> None:
    packed = gzip.compress(new_users(50_000))[:-100]
    headers = CSV | {"Content-Encoding": "gzip"}
    reply = http.post("/v1/imports?resource=users", content=packed, headers=headers)
    assert "cut off" in is_problem(reply, 400)["detail"]
    assert uploads() == 0


@pytest.mark.parametrize("body", [b"", b"\n", b"email,email\na,b\n"])
def test_a_file_without_a_usable_header_is_refused(
    http: httpx.Client, uploads: Uploads, body: bytes
) -> None:
    is_problem(http.post("/v1/imports?resource=users", content=body, headers=CSV), 400)
    assert uploads() == 0


def test_a_length_beyond_the_cap_is_refused_before_reading(wire: Wire) -> None:
    with wire(
        "POST /v1/imports?resource=users HTTP/1.1\n"
        "Content-Type: text/csv\nContent-Length: 99999999999"
    ) as connection:
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in reply.lower()


def test_no_body_is_asked_for_when_the_head_is_refused(wire: Wire) -> None:
    with wire(
        "POST /v1/imports?resource=nope HTTP/1.1\n"
        "Content-Type: text/csv\nContent-Length: 1000000\nExpect: 100-continue"
    ) as connection:
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 400 ")


def test_a_client_that_goes_on_sending_still_gets_the_refusal(wire: Wire) -> None:
    size = 20_000_000
    head = (
        f"POST /v1/imports?resource=nope HTTP/1.1\nContent-Type: text/csv\nContent-Length: {size}"
    )
    with wire(head) as connection:
        for _ in range(size // 1_000_000):
            connection.sendall(b"x" * 1_000_000)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_a_refused_request_does_not_spoil_the_next(http: httpx.Client) -> None:
    for _ in range(3):
        is_problem(http.post("/v1/imports?resource=nope", content=USERS, headers=CSV), 400)
        assert http.get("/live").status_code == 200


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_a_body_cut_off_leaves_nothing(
    wire: Wire, http: httpx.Client, uploads: Uploads, kind: str
) -> None:
    jobs = http.get("/v1/imports?limit=1").json()["jobs"]
    users = new_users(60_000)
    content, media = users, "text/csv"
    if kind == "form":
        part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="u.csv"\r\n\r\n'
        content, media = part + users, "multipart/form-data; boundary=B"
    head = (
        "POST /v1/imports?resource=users HTTP/1.1\n"
        f"Content-Type: {media}\nContent-Length: {len(content) + 1000}"
    )
    with wire(head, content):
        deadline = time.monotonic() + 10
        while uploads() == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert uploads() == 1
    while uploads() > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert uploads() == 0
    assert http.get("/v1/imports?limit=1").json()["jobs"] == jobs
