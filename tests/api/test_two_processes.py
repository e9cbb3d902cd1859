"""Two processes on one database are one service: keys, rates and news do not stop at either."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from ..conftest import address, serve, stop
from .conftest import ROWS, is_problem, new_users
from .test_events import following

MANY = 100
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def taker(service: Any, open_tmp: Path) -> Iterator[httpx.Client]:
    """A client of another process that takes requests and carries nothing out."""
    process = serve("--no-worker", cwd=open_tmp, DATABASE_URL=service.dsn)
    try:
        with httpx.Client(base_url=address(process), timeout=60) as client:
            yield client
    finally:
        stop(process)


@pytest.fixture
def at_once(http: httpx.Client, taker: httpx.Client) -> Callable[..., list[httpx.Response]]:
    """Sends so many requests in one moment, each to the process whose turn it is."""

    def send(count: int, ask: Callable[[httpx.Client, int], httpx.Response]) -> list[Any]:
        start = threading.Barrier(count)

        def one(number: int) -> httpx.Response:
            base = (http, taker)[number % 2].base_url
            with httpx.Client(base_url=base, timeout=60) as client:
                start.wait()
                return ask(client, number)

        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(one, range(count)))

    return send


def jobs_of(database: psycopg.Connection, key: str) -> list[str]:
    """The jobs that a key has made, and all that came with its name."""
    found = database.execute(
        "select job_id::text from sluice.job where file_name = %s union"
        " select job_id::text from sluice.idempotency where key = %s",
        [key, key],
    ).fetchall()
    return [job for (job,) in found]


def post(client: httpx.Client, key: str, body: bytes) -> httpx.Response:
    """An upload with an Idempotency-Key, whose file has the key's name too."""
    return client.post(
        "/v1/imports",
        params={"resource": "users", "format": "csv"},
        files={"file": (key, body)},
        headers={"Idempotency-Key": key},
    )


def test_a_hundred_posts_with_one_key_and_one_body_are_one_job(
    at_once: Any, http: httpx.Client, taker: httpx.Client, database: psycopg.Connection
) -> None:
    key, users = uuid4().hex, new_users(500)
    replies = at_once(MANY, lambda client, _: post(client, key, users))
    told = Counter(reply.status_code for reply in replies)
    assert told.keys() <= {202, 409}, told
    [job] = jobs_of(database, key)
    assert {reply.json()["job_id"] for reply in replies if reply.status_code == 202} == {job}
    firsts = [r for r in replies if r.status_code == 202 and "duplicate" not in r.json()]
    assert len(firsts) == 1
    for reply in replies:
        if reply.status_code == 409:
            is_problem(reply, 409)
            assert reply.headers["retry-after"]
    # who was told to come again gets the job, from either process
    for client in (http, taker):
        again = post(client, key, users)
        assert (again.status_code, again.json()["job_id"]) == (202, job)
        assert again.headers["idempotent-replayed"] == "true"


def test_a_hundred_posts_with_one_key_and_other_bodies_are_one_job(
    at_once: Any, http: httpx.Client, taker: httpx.Client, database: psycopg.Connection
) -> None:
    key, bodies = uuid4().hex, [new_users(50) for _ in range(MANY)]
    replies = at_once(MANY, lambda client, number: post(client, key, bodies[number]))
    told = Counter(reply.status_code for reply in replies)
    assert told.keys() <= {202, 409, 422}, told
    assert told[202] == 1
    [job] = jobs_of(database, key)
    [first] = [number for number, reply in enumerate(replies) if reply.status_code == 202]
    assert replies[first].json()["job_id"] == job
    for client in (http, taker):
        is_problem(post(client, key, bodies[first - 1]), 422)
        assert post(client, key, bodies[first]).json()["job_id"] == job


def test_a_hundred_exports_with_one_key_are_one_job(
    at_once: Any, database: psycopg.Connection
) -> None:
    key = uuid4().hex

    def ask(client: httpx.Client, number: int) -> httpx.Response:
        request = {"resource": "users", "format": "csv"}
        return client.post("/v1/exports", json=request, headers={"Idempotency-Key": key})

    replies = at_once(MANY, ask)
    assert {reply.status_code for reply in replies} <= {202, 409}
    [job] = jobs_of(database, key)
    assert {reply.json()["job_id"] for reply in replies if reply.status_code == 202} == {job}


def test_the_rate_of_a_key_is_one_for_both(at_once: Any, database: psycopg.Connection) -> None:
    row = database.execute(
        "select sluice.create_api_key('counted', rate_limit => 40),"
        " extract(second from clock_timestamp())"
    ).fetchone()
    assert row
    try:
        if row[1] > 40:
            # all within one minute
            time.sleep(61 - float(row[1]))
        headers = {"Authorization": f"Bearer {row[0]}"}
        replies = at_once(MANY, lambda client, _: client.get("/v1/jobs?limit=1", headers=headers))
        assert Counter(reply.status_code for reply in replies) == {200: 40, 429: 60}
        left = [int(r.headers["ratelimit-remaining"]) for r in replies if r.status_code == 200]
        assert sorted(left) == list(range(40))
    finally:
        database.execute("delete from sluice.api_key")


def test_the_news_of_a_job_come_from_the_process_that_does_not_do_it(
    taker: httpx.Client, database: psycopg.Connection, slow: None
) -> None:
    reply = taker.post("/v1/imports?resource=users", content=new_users(ROWS), headers=CSV)
    assert reply.status_code == 202
    with following(taker, reply.json()["job_id"]) as (_, events):
        seen = [event for event in events if event.name]
    assert seen[-1].data["status"] == "completed"
    assert seen[-1].data["counts"]["inserted"] == ROWS
    assert {event.data.get("phase") for event in seen} >= {"merge"}


def test_a_job_posted_to_one_is_waited_for_and_cancelled_by_the_other(
    http: httpx.Client, taker: httpx.Client, slow: None
) -> None:
    waited = taker.post(
        "/v1/imports?resource=users",
        content=new_users(3),
        headers=CSV | {"Prefer": "wait=30"},
    )
    assert (waited.status_code, waited.json()["status"]) == (200, "completed")
    job = http.post("/v1/imports?resource=users", content=new_users(ROWS), headers=CSV).json()
    path = f"/v1/imports/{job['job_id']}"
    cancelled = taker.post(f"{path}/cancel")
    assert cancelled.status_code == 202, cancelled.text
    assert http.get(path).json()["status"] == "cancelled"
    ours, theirs = (client.get(path) for client in (http, taker))
    assert ours.headers["etag"] == theirs.headers["etag"]
