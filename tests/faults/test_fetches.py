"""Workers that die or stop while they fetch: the file comes whole, by another."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..origin import Dripping, Origin, in_turn, reply, running
from .client import Client
from .conftest import users
from .fleet import Fleet, Member, Server, until

USERS = users(0, 30_000)


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Where the files stand."""
    with running() as server:
        yield server


@pytest.fixture
def fetching(new_fleet: Callable[..., Fleet], origin: Origin) -> Fleet:
    """An API and two workers that may ask the origin."""
    fleet = new_fleet(SLUICE_URL_HOSTS=origin.host)
    fleet.api()
    for _ in range(2):
        fleet.worker()
    return fleet


@pytest.fixture
def client(fetching: Fleet) -> Iterator[Client]:
    """A client of that API."""
    with fetching.client() as client:
        yield client


def asked(client: Client, url: str) -> str:
    """Ask for an import; where its job answers."""
    job = client.post("/v1/imports", json={"resource": "users", "url": url})
    return f"/v1/imports/{job['job_id']}"


def mid_fetch(fleet: Fleet) -> Member:
    """The worker that fetches, once half a file is in its stage."""
    found = "select count(*) from sluice.job where phase = 'fetch' and received > 1000"
    until(lambda: fleet.one(found), 30)
    pid = int(fleet.one("select split_part(worker, ':', 2) from sluice.job"))
    return next(worker for worker in fleet.workers if worker.pid == pid)


def judge(fleet: Fleet, job: dict[str, Any]) -> None:
    """Every user once, each bad one rejected at its own line."""
    assert job["status"] == "completed", job
    assert job["counts"]["received"] == 30_000
    assert job["counts"]["inserted"] == 29_700
    assert job["counts"]["rejected"] == 300
    assert job["errors"][0]["line"] == job["errors"][0]["row"] + 1 == 101
    assert fleet.one("select count(*) from app.users") == 29_700


def nothing_left(fleet: Fleet) -> bool:
    count = fleet.one("select count(*) from pg_tables where schemaname = 'sluice_stage'")
    return int(count) == 0


def test_another_worker_fetches_what_a_killed_one_had_begun(
    fetching: Fleet, client: Client, origin: Origin
) -> None:
    half = Dripping(USERS, len(USERS) // 2)
    path = asked(client, origin.put("/users.csv", in_turn(half, reply(USERS))))
    mid_fetch(fetching).kill()
    started = time.monotonic()
    judge(fetching, client.ended(path, 60))
    assert time.monotonic() - started < 50
    assert origin.times("/users.csv") == 2
    assert nothing_left(fetching)
    half.go_on.set()


def test_a_worker_that_is_told_to_stop_passes_its_fetch_on_at_once(
    fetching: Fleet, client: Client, origin: Origin
) -> None:
    half = Dripping(USERS, len(USERS) // 2)
    path = asked(client, origin.put("/users.csv", in_turn(half, reply(USERS))))
    started = time.monotonic()
    assert mid_fetch(fetching).terminate(40) == 0
    judge(fetching, client.ended(path, 20))
    assert time.monotonic() - started < 15
    assert origin.times("/users.csv") == 2
    assert nothing_left(fetching)
    half.go_on.set()


def test_a_fetch_survives_a_crash_of_postgres(
    fetching: Fleet, client: Client, origin: Origin, server: Server
) -> None:
    half = Dripping(USERS, len(USERS) // 2)
    path = asked(client, origin.put("/users.csv", in_turn(half, reply(USERS))))
    mid_fetch(fetching)
    server.crash()
    half.go_on.set()
    server.recover()
    judge(fetching, client.ended(path, 60))
    assert nothing_left(fetching)


def test_an_import_waits_for_the_file_of_an_older_one_though_workers_die(
    fetching: Fleet, client: Client, origin: Origin
) -> None:
    """Both write user 0: the younger must be the last to do so."""
    half = Dripping(USERS, len(USERS) // 2)
    older = asked(client, origin.put("/users.csv", in_turn(half, reply(USERS))))
    worker = mid_fetch(fetching)
    text = "email,name,role\nu0@example.org,The last word,reader\n"
    younger = client.post(
        "/v1/imports?resource=users", content=text, headers={"Content-Type": "text/csv"}
    )
    worker.kill()
    judge(fetching, client.ended(older, 60))
    job = client.ended(f"/v1/imports/{younger['job_id']}", 30)
    assert job["counts"]["updated"] == 1
    last = "select name from app.users where email = 'u0@example.org'"
    assert fetching.one(last) == "The last word"
    assert nothing_left(fetching)
    half.go_on.set()
