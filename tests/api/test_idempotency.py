"""Idempotency-Key: one job however often a request is sent."""

import socket
import time
from collections.abc import Callable
from uuid import uuid4

import httpx
import psycopg
import pytest

from .conftest import is_problem, new_users

CSV = {"Content-Type": "text/csv"}


def _post(http: httpx.Client, key: str, body: bytes, query: str = "") -> httpx.Response:
    headers = CSV | {"Idempotency-Key": key}
    return http.post(f"/v1/imports?resource=users{query}", content=body, headers=headers)


@pytest.fixture
def key() -> str:
    return uuid4().hex


def test_the_same_request_again_makes_no_second_job(http: httpx.Client, key: str) -> None:
    users = new_users(2)
    first, again = _post(http, key, users), _post(http, key, users)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["job_id"] == first.json()["job_id"]
    assert again.json()["duplicate"] is True
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert "duplicate" not in first.json()
    assert "idempotent-replayed" not in first.headers


def test_a_quoted_key_is_the_same_key(http: httpx.Client, key: str) -> None:
    users = new_users(1)
    first = _post(http, key, users).json()
    assert _post(http, f'"{key}"', users).json()["job_id"] == first["job_id"]


@pytest.mark.parametrize("query", ["&mode=insert", "&results=true"])
def test_other_options_with_the_same_key_are_422(http: httpx.Client, key: str, query: str) -> None:
    users = new_users(1)
    _post(http, key, users)
    is_problem(_post(http, key, users, query), 422)


def test_another_file_with_the_same_key_is_422(http: httpx.Client, key: str) -> None:
    _post(http, key, new_users(1))
    is_problem(_post(http, key, new_users(1)), 422)


def test_boundary_file_name_and_place_of_options_do_not_count(http: httpx.Client, key: str) -> None:
    users, headers = new_users(1), {"Idempotency-Key": key}
    first = http.post(
        "/v1/imports",
        data={"resource": "users", "mode": "upsert"},
        files={"file": ("a.csv", users)},
        headers=headers,
    )
    assert first.status_code == 202, first.text
    again = http.post(
        "/v1/imports?mode=upsert&resource=users", files={"file": ("b.csv", users)}, headers=headers
    )
    assert again.json()["job_id"] == first.json()["job_id"]
    raw = _post(http, key, users, "&mode=upsert")
    assert raw.json()["job_id"] == first.json()["job_id"]


def test_a_refused_request_leaves_its_key_free(http: httpx.Client, key: str) -> None:
    is_problem(_post(http, key, b"colour\nred\n"), 400)
    assert _post(http, key, new_users(1)).status_code == 202


def test_a_key_whose_first_request_still_arrives_is_409(
    http: httpx.Client,
    wire: Callable[..., socket.socket],
    database: psycopg.Connection,
    key: str,
) -> None:
    users = new_users(1)
    head = (
        "POST /v1/imports?resource=users HTTP/1.1\n"
        f"Content-Type: text/csv\nContent-Length: 1000\nIdempotency-Key: {key}"
    )
    deadline = time.monotonic() + 10
    with wire(head, users):
        while not database.execute(
            "select from sluice.idempotency where key = %s", [key]
        ).fetchall():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        reply = _post(http, key, users)
        is_problem(reply, 409)
        assert reply.headers["retry-after"]
    while (reply := _post(http, key, users)).status_code == 409 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert reply.status_code == 202


@pytest.mark.parametrize("bad", ["", '""', "x" * 256, 'a"b', "tab\there"])
def test_a_key_that_is_none_is_400(http: httpx.Client, bad: str) -> None:
    is_problem(_post(http, bad, new_users(1)), 400)
