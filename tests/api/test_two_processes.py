"""Two processes on one database are one service: keys, rates and news do not stop at either."""

import gzip
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


@pytest.fixture
def keyed(database: psycopg.Connection) -> Iterator[Callable[..., dict[str, str]]]:
    """Makes a key with a quota; the headers of a CSV upload that sends it."""

    def make(**quota: int) -> dict[str, str]:
        given = "".join(f", {name} => {value}" for name, value in quota.items())
        row = database.execute(
            f"select sluice.create_api_key('key {uuid4()}'{given})".encode()
        ).fetchone()
        assert row
        return {"X-API-Key": row[0], **CSV}

    yield make
    # other tests send no key
    database.execute(
        "update sluice.job set key_id = null where key_id is not null;"
        "delete from sluice.quota; delete from sluice.upload; delete from sluice.api_key"
    )


def upload(client: httpx.Client, headers: dict[str, str], body: Any) -> httpx.Response:
    return client.post("/v1/imports", params={"resource": "users"}, content=body, headers=headers)


def test_a_key_has_as_many_uploads_at_once_as_it_may_over_both(
    http: httpx.Client, taker: httpx.Client, database: psycopg.Connection, keyed: Any
) -> None:
    few, others, users = keyed(max_uploads=2), keyed(), new_users(3)
    going = "select count(*) from sluice.upload"
    hold = threading.Event()

    def slowly(client: httpx.Client) -> httpx.Response:
        def body() -> Iterator[bytes]:
            yield users[:20]
            hold.wait(30)
            yield users[20:]

        return upload(client, few, body())

    with ThreadPoolExecutor(2) as threads:
        slow = [threads.submit(slowly, client) for client in (http, taker)]
        try:
            while database.execute(going).fetchone() != (2,):
                time.sleep(0.02)
            for client in (http, taker):
                with httpx.Client(base_url=client.base_url) as another:
                    refused = upload(another, few, users)
                    assert "2 uploads" in is_problem(refused, 429)["detail"]
                    assert refused.headers["retry-after"] == "2"
                    assert upload(another, others, users).status_code == 202
        finally:
            hold.set()
        assert [one.result().status_code for one in slow] == [202, 202]
    assert database.execute(going).fetchone() == (0,)
    assert upload(taker, few, users).status_code == 202


def test_the_place_of_a_dead_upload_is_free_after_a_minute(
    http: httpx.Client, database: psycopg.Connection, keyed: Any
) -> None:
    one = keyed(max_uploads=1)
    database.execute(
        "insert into sluice.upload (upload_id, key_id, heartbeat_at)"
        " select sluice.uuid_v7(), key_id, clock_timestamp() - interval '59 s' from sluice.api_key"
    )
    is_problem(upload(http, one, new_users(3)), 429)
    database.execute("update sluice.upload set heartbeat_at = heartbeat_at - interval '2 s'")
    assert upload(http, one, new_users(3)).status_code == 202


def test_a_key_stores_as_many_bytes_a_day_as_it_may_over_both(
    http: httpx.Client, taker: httpx.Client, database: psycopg.Connection, keyed: Any
) -> None:
    users = new_users(300)
    few = keyed(max_bytes_per_day=2 * len(users))
    first = {**few, "Idempotency-Key": "first"}
    assert upload(http, first, users).status_code == 202
    bulk = {**few, "Content-Type": "application/json"}
    # packed, nobody knows before how much it is
    packed = {**few, "Content-Encoding": "gzip"}
    before = database.execute("select count(*) from sluice.job").fetchone()
    for refused in (
        upload(taker, few, new_users(400)),
        upload(taker, packed, gzip.compress(new_users(400))),
    ):
        told = is_problem(refused, 429)["detail"]
        assert f"may store {2 * len(users)} bytes a day, unpacked, of which {len(users)}" in told
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert database.execute("select count(*) from sluice.job").fetchone() == before
    assert upload(taker, few, users).status_code == 202
    used_up = [
        upload(http, few, b"email\n"),
        taker.post("/v1/imports?resource=users&url=https://example.org/users.csv", headers=few),
        taker.post("/v1/exports?resource=users", headers=few),
        http.post(
            "/api/users/bulk", content=b'[{"name": "Q", "email": "q@quota.org"}]', headers=bulk
        ),
    ]
    assert [reply.status_code for reply in used_up] == [429] * 4
    assert upload(taker, first, users).status_code == 202, "what has been done may be told"
    database.execute("update sluice.quota set day = day - 1")
    assert upload(http, few, users).status_code == 202


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
