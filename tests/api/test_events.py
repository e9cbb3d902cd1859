"""Progress as server-sent events."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from .conftest import ROWS, SLOW, is_problem, new_users, pause, until


class Event:
    """One event as it came."""

    def __init__(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines)
        self.name, self.id = fields.get("event"), fields.get("id")
        self.data: dict[str, Any] = json.loads(fields.get("data", "{}"))
        self.retry = fields.get("retry")


@contextmanager
def following(
    http: httpx.Client, job_id: str, **headers: str
) -> Iterator[tuple[httpx.Response, Iterator[Event]]]:
    """The events of a job until the stream closes."""
    with http.stream("GET", f"/v1/imports/{job_id}/events", headers=headers) as reply:
        yield reply, events_of(reply)


def events_of(reply: httpx.Response) -> Iterator[Event]:
    lines: list[str] = []
    for line in reply.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            lines.append(line)
        elif lines:
            yield Event(lines)
            lines = []
    assert not lines, "cut in the middle of an event"


def listeners(database: psycopg.Connection) -> int:
    row = database.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'pgsluice news'"
    ).fetchone()
    assert row
    return int(row[0])


def test_progress_is_told_as_it_happens_until_the_end(
    http: httpx.Client, running: Callable[[], str]
) -> None:
    job_id = running()
    with following(http, job_id) as (reply, events):
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-accel-buffering"] == "no"
        seen = list(events)
    assert seen[0].retry
    *progress, end = seen[1:]
    assert {event.name for event in progress} == {"progress"}
    first = progress[0].data
    assert (first["status"], first["phase"]) == ("processing", "merge")
    assert first["counts"]["received"] == ROWS
    assert "rows_per_second" in first["metrics"]
    rows = [event.data["progress"]["rows"] for event in progress]
    assert rows == sorted(rows)
    assert len({event.id for event in progress}) == len(progress) >= 2
    assert end.name == "end"
    assert (end.data["status"], end.data["job_id"]) == ("completed", job_id)
    assert end.data["counts"]["inserted"] == ROWS
    assert end.data["links"]["events"] == f"/v1/imports/{job_id}/events"


def test_a_job_that_does_not_move_keeps_its_streams_alive(
    http: httpx.Client,
    slow: None,
    database: psycopg.Connection,
    post: Callable[..., httpx.Response],
) -> None:
    pause(database, 60)
    job_id = post(new_users(3), {"Prefer": "wait=0"}).json()["job_id"]
    with http.stream("GET", f"/v1/imports/{job_id}/events") as reply:
        started, lines = time.monotonic(), reply.iter_lines()
        while next(lines) != ": still here":
            assert time.monotonic() - started < 40
    http.post(f"/v1/imports/{job_id}/cancel")


def test_an_ended_job_is_told_at_once_and_only_once(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    job_id = post().json()["job_id"]
    with following(http, job_id) as (_, events):
        seen = list(events)
    assert [event.name for event in seen] == [None, "end"]
    again = http.get(f"/v1/imports/{job_id}/events", headers={"Last-Event-ID": seen[-1].id or ""})
    assert again.status_code == 204, "an EventSource would come back for ever"


def test_a_listener_that_comes_back_is_not_told_again(
    http: httpx.Client, running: Callable[[], str]
) -> None:
    job_id = running()
    with following(http, job_id) as (_, events):
        next(events)
        first = next(events)
    with following(http, job_id, **{"Last-Event-ID": first.id or ""}) as (_, events):
        next(events)
        assert next(events).id != first.id


def test_a_cancelled_job_ends_its_streams(
    http: httpx.Client, running: Callable[[], str], database: psycopg.Connection
) -> None:
    pause(database, 30)
    job_id = running()
    with following(http, job_id) as (_, events):
        next(events), next(events)
        started = time.monotonic()
        httpx.post(f"{http.base_url}/v1/imports/{job_id}/cancel")
        *_, end = events
        assert time.monotonic() - started < 15
    assert (end.name, end.data["status"]) == ("end", "cancelled")


def test_a_hundred_listeners_share_one_connection(
    http: httpx.Client, running: Callable[[], str], database: psycopg.Connection
) -> None:
    pause(database, 60)
    job_id = running()
    limits = httpx.Limits(max_connections=None)
    here = threading.Semaphore(0)

    def follow(client: httpx.Client) -> list[str | None]:
        with following(client, job_id) as (_, events):
            first = next(events)
            here.release()
            return [first.name, *(event.name for event in events)]

    with (
        httpx.Client(base_url=http.base_url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(100) as pool,
    ):
        told = pool.map(follow, [client] * 100)
        assert all(here.acquire(timeout=30) for _ in range(100))
        assert listeners(database) == 1
        assert http.get("/ready").status_code == 200, "no connection left for others"
        http.post(f"/v1/imports/{job_id}/cancel")
        assert [names[-1] for names in told] == ["end"] * 100


def test_a_listener_that_leaves_leaves_nothing(
    running: Callable[[], str],
    wire: Callable[..., socket.socket],
    service: Any,
    http: httpx.Client,
) -> None:
    job_id = running()
    before = open_files(service.process.pid)
    for _ in range(20):
        with wire(f"GET /v1/imports/{job_id}/events HTTP/1.1") as connection:
            assert b" 200 " in connection.recv(4096)
    until(lambda: open_files(service.process.pid) <= before + 1)
    http.post(f"/v1/imports/{job_id}/cancel")


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_an_export_s_events_are_not_those_of_an_import(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    job_id = post().json()["job_id"]
    is_problem(http.get(f"/v1/exports/{job_id}/events"), 404)
    is_problem(http.get(f"/v1/imports/{job_id}/events?since=1"), 400)


def test_a_service_that_stops_lets_its_listeners_go(
    start_service: Callable[..., Any],
) -> None:
    service = start_service()
    with (
        psycopg.connect(service.dsn, autocommit=True) as conn,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        conn.execute(SLOW.encode())
        pause(conn, 8)
        job_id = client.post(
            "/v1/imports?resource=users",
            content=new_users(2000),
            headers={"Content-Type": "text/csv"},
        ).json()["job_id"]
        with following(client, job_id) as (_, events):
            next(events), next(events)
            started = time.monotonic()
            service.process.terminate()
            list(events)
            assert time.monotonic() - started < 6
        assert service.process.wait(40) == 0
