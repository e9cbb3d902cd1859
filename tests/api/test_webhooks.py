"""Webhooks over real sockets: signed, tried again, seen; and what no worker may ask."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ..conftest import Service
from ..origin import running
from .conftest import is_problem, new_users
from .hook import SECRET, Receiver


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Service]) -> Service:
    """A service that may ask this machine, and tries again soon."""
    return start_service(
        SLUICE_URL_HOSTS="127.0.0.1",
        SLUICE_WEBHOOK_SECRET=SECRET,
        SLUICE_WEBHOOK_BACKOFF="0.02",
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Someone who waits for webhooks."""
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture
def ended(post: Callable[..., httpx.Response]) -> Callable[..., dict[str, Any]]:
    """An import that has ended, with a callback_url."""

    def send(url: str, content: bytes | None = None, **options: str) -> dict[str, Any]:
        reply = post(content or new_users(3), callback_url=url, **options)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    return send


@pytest.fixture
def deliveries(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """The one delivery of a job, once it is as wanted."""

    def look(job: dict[str, Any], wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        end = time.monotonic() + 20
        while True:
            [found] = http.get(f"/v1/jobs/{job['job_id']}/deliveries").json()["deliveries"]
            if wanted(found):
                return dict(found)
            assert time.monotonic() < end, found
            time.sleep(0.05)

    return look


def is_over(delivery: dict[str, Any]) -> bool:
    return bool(delivery["state"] != "pending")


def test_the_ended_job_is_posted_and_signed(
    receiver: Receiver, ended: Any, deliveries: Any
) -> None:
    job = ended(f"{receiver.url}?token=hidden")
    assert job["callback_url"] == receiver.url
    assert "hidden" not in str(job)
    found = deliveries(job, is_over)
    assert found["state"] == "delivered"
    assert found["url"] == receiver.url
    assert [(a["attempt"], a["status"], a["error"]) for a in found["attempts"]] == [(1, 204, None)]
    told = receiver.read(0)
    assert told["type"] == "import.completed"
    assert told["timestamp"] == job["completed_at"]
    assert told["data"]["job_id"] == job["job_id"]
    assert told["data"]["counts"]["inserted"] == 3
    assert receiver.ids() == [found["delivery_id"]]
    assert receiver.got[0][0] == "/hook?token=hidden"


def test_a_failed_import_tells_so_with_its_first_errors(
    receiver: Receiver, ended: Any, deliveries: Any
) -> None:
    bad = b"email\n" + b"".join(b"nobody %d\n" % number for number in range(30))
    job = ended(receiver.url, bad, max_error_ratio="0.1")
    deliveries(job, is_over)
    told = receiver.read(0)
    assert told["type"] == "import.failed"
    assert len(told["data"]["errors"]) <= 10


def test_many_errors_are_cut_to_ten(receiver: Receiver, ended: Any, deliveries: Any) -> None:
    bad = b"email\n" + b"".join(b"nobody %d\n" % number for number in range(30))
    job = ended(receiver.url, bad)
    deliveries(job, is_over)
    told = receiver.read(0)["data"]
    assert (len(job["errors"]), job["errors_truncated"]) == (30, False)
    assert told["errors"] == job["errors"][:10]
    assert told["errors_truncated"] is True


def test_an_export_tells_when_its_file_is_there(
    http: httpx.Client, receiver: Receiver, deliveries: Any
) -> None:
    asked = {"resource": "users", "format": "csv", "callback_url": receiver.url}
    job = http.post("/v1/exports", json=asked).json()
    deadline = time.monotonic() + 20
    while not receiver.got and time.monotonic() < deadline:
        time.sleep(0.05)
    assert deliveries(job, is_over)["state"] == "delivered"
    told = receiver.read(0)
    assert told["type"] == "export.completed"
    assert told["data"]["download_url"]


def test_a_scheduled_import_from_a_url_tells_its_webhook(
    http: httpx.Client, receiver: Receiver
) -> None:
    with running() as origin:
        asked = {
            "resource": "users",
            "url": origin.put("/nightly.csv", new_users(7)),
            "callback_url": receiver.url,
        }
        made = {"cron": "1 second", "kind": "import", "request": asked}
        assert http.put("/v1/schedules/often", json=made).status_code == 201
        end = time.monotonic() + 20
        while not receiver.got and time.monotonic() < end:
            time.sleep(0.05)
        assert http.delete("/v1/schedules/often").status_code == 204
    told = receiver.read(0)
    assert told["type"] == "import.completed"
    assert told["data"]["schedule"] == "often"
    assert told["data"]["counts"]["inserted"] == 7


def test_a_500_is_tried_again_under_the_same_id(
    receiver: Receiver, ended: Any, deliveries: Any
) -> None:
    receiver.reply = lambda number: (500 if number == 1 else 200, {})
    found = deliveries(ended(receiver.url), is_over)
    assert found["state"] == "delivered"
    assert [a["status"] for a in found["attempts"]] == [500, 200]
    assert set(receiver.ids()) == {found["delivery_id"]}
    assert len(receiver.got) == 2
    assert receiver.read(0) == receiver.read(1)


def test_a_receiver_that_is_down_gets_it_when_it_is_up(ended: Any, deliveries: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    job = ended(f"http://127.0.0.1:{port}/hook")
    found = deliveries(job, lambda d: len(d["attempts"]) >= 1)
    assert found["attempts"][0]["status"] is None
    assert found["attempts"][0]["error"]
    late = Receiver(port)
    try:
        assert deliveries(job, is_over)["state"] == "delivered"
        assert late.read(0)["data"]["job_id"] == job["job_id"]
    finally:
        late.close()


def test_a_redirect_is_a_failure(receiver: Receiver, ended: Any, deliveries: Any) -> None:
    receiver.reply = lambda _: (302, {"Location": "http://127.0.0.1:1/elsewhere"})
    found = deliveries(ended(receiver.url), lambda d: d["attempts"])
    assert found["attempts"][0]["status"] == 302
    assert "redirects are not followed" in found["attempts"][0]["error"]
    assert all(path == "/hook" for path, _, _ in receiver.got)
    receiver.reply = lambda _: (410, {})


def test_410_ends_it_and_it_can_be_sent_again_by_hand(
    http: httpx.Client, receiver: Receiver, ended: Any, deliveries: Any
) -> None:
    receiver.reply = lambda _: (410, {})
    job = ended(receiver.url)
    found = deliveries(job, is_over)
    assert (found["state"], len(found["attempts"])) == ("failed", 1)
    receiver.reply = lambda _: (200, {})
    reply = http.post(f"/v1/jobs/{job['job_id']}/deliveries")
    assert reply.status_code == 202
    again = deliveries(job, is_over)
    assert again["state"] == "delivered"
    assert [a["status"] for a in again["attempts"]] == [410, 200]
    assert set(receiver.ids()) == {found["delivery_id"]}


def test_retry_after_is_heeded(receiver: Receiver, ended: Any, deliveries: Any) -> None:
    receiver.reply = lambda number: (503, {"Retry-After": "1"}) if number == 1 else (200, {})
    found = deliveries(ended(receiver.url), is_over)
    first, second = (attempt["at"] for attempt in found["attempts"])
    assert second > first
    seconds = float(second[17:26]) - float(first[17:26])
    assert 1.0 <= seconds % 60 < 8


def test_after_ten_attempts_it_is_given_up(
    database: psycopg.Connection, receiver: Receiver, ended: Any, deliveries: Any
) -> None:
    receiver.reply = lambda _: (404, {})
    job = ended(receiver.url)
    for done in range(1, 10):
        deliveries(job, lambda d, n=done: len(d["attempts"]) >= n)
        database.execute(
            "update sluice.delivery set not_before = clock_timestamp() where job_id = %s",
            [job["job_id"]],
        )
        database.execute("select sluice.announce('webhook')")
    found = deliveries(job, is_over)
    assert (found["state"], len(found["attempts"])) == ("failed", 10)
    assert found["next_attempt_at"] is None


def test_one_slow_receiver_holds_up_no_other(
    receiver: Receiver, ended: Any, deliveries: Any
) -> None:
    slow, enough = Receiver(), threading.Event()
    slow.reply = lambda _: (enough.wait(9), (200, {}))[1]
    late = ended(slow.url)
    started = time.monotonic()
    assert deliveries(ended(receiver.url), is_over)["state"] == "delivered"
    assert time.monotonic() - started < 8
    enough.set()
    assert deliveries(late, is_over)["state"] == "delivered"
    slow.close()


def test_who_has_no_job_or_no_webhook_is_told(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    missing = "/v1/jobs/0199f3a1-6c52-7d10-9a3e-5f0c2b7e1d44/deliveries"
    is_problem(http.get(missing), 404)
    is_problem(http.post(missing), 404)
    path = f"/v1/jobs/{post(new_users(1)).json()['job_id']}/deliveries"
    assert http.get(path).json()["deliveries"] == []
    assert "callback_url" in is_problem(http.post(path), 409)["detail"]


def test_a_callback_url_is_judged_at_once(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    for url in ("http://example.org/", "https://user:pass@example.org/", "ftp://x/", "nothing"):
        is_problem(post(callback_url=url), 400)
        asked = {"resource": "users", "callback_url": url}
        is_problem(http.post("/v1/exports", json=asked), 400)


def test_private_addresses_are_not_asked(
    start_service: Callable[..., Service], receiver: Receiver
) -> None:
    """The one that the service would reach by a name that leads to this machine."""
    strict = start_service(SLUICE_WEBHOOK_BACKOFF="1000")
    with psycopg.connect(strict.dsn, autocommit=True) as conn:
        job = httpx.post(
            f"{strict.url}/v1/imports?resource=users",
            content=new_users(1),
            headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
            timeout=60,
        ).json()["job_id"]
        for url in (receiver.url, f"https://localhost:{receiver.port}/", "https://10.0.0.1/"):
            conn.execute(
                "insert into sluice.delivery (delivery_id, job_id, url)"
                " values (sluice.uuid_v7(), %s, %s)",
                [job, url],
            )
        conn.execute("select sluice.announce('webhook')")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            rows = conn.execute(
                "select url, last_status, last_error from sluice.deliveries"
            ).fetchall()
            if all(error for _, _, error in rows):
                break
            time.sleep(0.05)
    assert len(rows) == 3
    for url, status, error in rows:
        assert status is None
        assert "not public" in error or "https" in error or "SLUICE_URL_HOSTS" in error, (
            url,
            error,
        )
    assert receiver.got == []


def test_without_a_setting_the_secret_of_the_database_signs(
    start_service: Callable[..., Service], receiver: Receiver
) -> None:
    own = start_service(SLUICE_URL_HOSTS="127.0.0.1", SLUICE_API_PREFIX="bulk")
    job = httpx.post(
        f"{own.url}/bulk/imports?resource=users&callback_url={receiver.url}",
        content=new_users(1),
        headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
        timeout=60,
    ).json()
    end = time.monotonic() + 20
    while not receiver.got and time.monotonic() < end:
        time.sleep(0.05)
    with psycopg.connect(own.dsn, autocommit=True) as conn:
        row = conn.execute("select sluice.webhook_secret()").fetchone()
    assert row
    told = receiver.read(0, row[0])["data"]
    assert told["links"]["self"] == job["links"]["self"] == f"/bulk/imports/{job['job_id']}"


def test_the_secret_of_the_database_is_made_once(conn: psycopg.Connection) -> None:
    first = conn.execute("select sluice.webhook_secret()").fetchone()
    assert first
    assert first == conn.execute("select sluice.webhook_secret()").fetchone()
    assert first[0].startswith("whsec_")
    assert len(first[0]) == len("whsec_") + 44
