"""Exports that read a streaming replica: a real one, made by pg_basebackup."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgsluice import embedded
from pgsluice.binaries import User
from pgsluice.migrate import migrate

from ..conftest import FAST, TOP, Service, address, serve, stop
from .conftest import is_problem, until

STREAMED = FAST | {
    "wal_level": "replica",
    "max_wal_senders": "3",
    "synchronous_commit": "on",
    # what is read there is cancelled at once when replay needs to remove it
    "max_standby_streaming_delay": "100ms",
    "wal_receiver_status_interval": "1s",
}


def copy_of(primary: embedded.Server, root: Path, there: Path) -> embedded.Server:
    """A running replica of a server, made from a base backup."""
    user, parts = User.of(root / "data"), conninfo_to_dict(primary.dsn)
    there.mkdir()
    user.own(there, 0o700)
    where = make_conninfo(primary.dsn, dbname=None, application_name="replica")
    subprocess.run(
        [primary.bindir / "pg_basebackup", "-D", there / "data", "-d", where, "-R", "-c", "fast"],
        cwd=there, check=True, capture_output=True, **user.rights,
    )  # fmt: skip
    (there / "password").write_text(str(parts["password"]))
    return embedded.start(there, pg_bin=str(primary.bindir), settings=STREAMED)


@pytest.fixture(scope="module")
def primary(open_tmp: Path, pg_bindir: Path) -> Iterator[embedded.Server]:
    """A server of its own, with pgsluice and a role for keys."""
    server = embedded.start(open_tmp / "primary", pg_bin=str(pg_bindir), settings=STREAMED)
    migrate(server.dsn)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def replica(primary: embedded.Server, open_tmp: Path) -> Iterator[embedded.Server]:
    server = copy_of(primary, open_tmp / "primary", open_tmp / "replica")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def service(
    primary: embedded.Server, replica: embedded.Server, open_tmp: Path
) -> Iterator[Service]:
    """A service that exports from the replica."""
    process = serve(
        cwd=open_tmp,
        DATABASE_URL=primary.dsn,
        SLUICE_EXPORT_DATABASE_URL=replica.dsn,
        SLUICE_EXPORT_PATIENCE="0.5",
        SLUICE_API_KEYS="a-key-for-all",
        SLUICE_STORE=str(open_tmp / "store"),
    )
    yield Service(address(process), primary.dsn, process)
    stop(process)


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    headers = {"X-API-Key": "a-key-for-all"}
    with httpx.Client(base_url=service.url, timeout=60, headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def database(primary: embedded.Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(primary.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def standby(replica: embedded.Server) -> Iterator[psycopg.Connection]:
    """A session on the replica; replay goes on afterwards."""
    with psycopg.connect(replica.dsn, autocommit=True) as connection:
        yield connection
        connection.execute("select pg_wal_replay_resume()")


def people(http: httpx.Client, **query: str) -> httpx.Response:
    return http.get("/v1/exports", params={"resource": "users", "format": "csv", **query})


def emails(reply: httpx.Response) -> set[str]:
    assert reply.status_code == 200, reply.text
    return {row["email"] for row in csv.DictReader(io.StringIO(reply.text))}


def add(database: psycopg.Connection, *names: str) -> None:
    database.cursor().executemany(
        "insert into app.users (email, name, role) values (%s, 'Somebody', 'reader')",
        [(f"{name}@example.org",) for name in names],
    )


def finished(http: httpx.Client) -> dict[str, Any]:
    """An export of users to a file, at its end."""
    reply = http.post("/v1/exports", json={"resource": "users", "format": "csv"})
    return ended(http, reply.json()["job_id"])


def ended(http: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job once nothing more happens to it."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(f"/v1/exports/{job_id}").json()
        return found if found["status"] in ("completed", "failed", "cancelled") else None

    return dict(until(look, 30))


def copies(dsn: str) -> int:
    """How many exports run on a server."""
    with psycopg.connect(dsn) as conn:
        [count] = conn.execute(
            "select count(*) from pg_stat_activity where state = 'active' and query like 'copy%'"
        ).fetchone() or [0]
    return int(count)


def client_as(http: httpx.Client, service: Service, role: str) -> httpx.Client:
    """A client whose key has a role."""
    asked = {"name": role, "scopes": ["export"], "role": role}
    key = http.post("/v1/keys", json=asked).json()["key"]
    return httpx.Client(base_url=service.url, timeout=60, headers={"X-API-Key": key})


def test_an_export_reads_the_replica_and_sees_what_was_written_just_before(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    for number in range(10):
        database.execute(f"set synchronous_commit = {'on' if number else 'off'}".encode())
        add(database, f"just{number}")
        reply = people(http, email=f"just{number}@example.org")
        assert reply.headers["x-read-from"] == "replica"
        assert emails(reply) == {f"just{number}@example.org"}


def test_a_workbook_and_an_error_of_the_request_are_as_ever(http: httpx.Client) -> None:
    reply = http.get("/v1/exports", params={"resource": "users", "format": "xlsx"})
    assert (reply.status_code, reply.headers["x-read-from"]) == (200, "replica")
    assert reply.content.startswith(b"PK")
    assert "planet" in is_problem(people(http, planet="mars"), 400)["detail"]


def test_a_job_reads_the_replica_and_keeps_its_books_on_the_primary(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    add(database, "beforehand")
    job = finished(http)
    assert job["status"] == "completed", job
    file = http.get(job["links"]["download"])
    assert "beforehand@example.org" in emails(file)
    [lsn] = database.execute("select pg_current_wal_lsn() >= %s::pg_lsn", [job["snapshot"]["lsn"]]
                             ).fetchone() or [None]  # fmt: skip
    assert lsn


def test_the_role_of_a_key_binds_on_the_replica_too(
    http: httpx.Client, service: Service, database: psycopg.Connection
) -> None:
    database.execute(
        "create role fenced nologin; grant usage on schema app to fenced;"
        "grant select on app.users to fenced; alter table app.users enable row level security;"
        "create policy own on app.users to fenced using (email like 'own%')"
    )
    add(database, "own", "foreign")
    with client_as(http, service, "fenced") as client:
        reply = people(client)
        assert reply.headers["x-read-from"] == "replica"
        assert emails(reply) == {"own@example.org"}
        job = client.post("/v1/exports", json={"resource": "users"}).json()
        assert ended(client, job["job_id"])["exported"] == 1


def test_one_that_lags_is_left_for_the_primary(
    http: httpx.Client, database: psycopg.Connection, standby: psycopg.Connection
) -> None:
    standby.execute("select pg_wal_replay_pause()")
    add(database, "late")
    reply = people(http, email="late@example.org")
    assert (reply.headers["x-read-from"], emails(reply)) == ("primary", {"late@example.org"})
    # nobody else waits for it for a while
    assert people(http).elapsed.total_seconds() < 1
    assert http.get("/ready").json()["replica"]["status"] in ("behind", "unavailable")
    standby.execute("select pg_wal_replay_resume()")
    until(lambda: http.get("/ready").json()["replica"] == {"status": "ok", "behind_bytes": 0})
    assert people(http).headers["x-read-from"] == "replica"


@pytest.fixture(scope="module")
def crawler(
    http: httpx.Client, service: Service, database: psycopg.Connection
) -> Iterator[httpx.Client]:
    """A client that needs 20 ms for each row of `turtles`, which has 100."""
    database.execute(
        "create role crawler nologin; grant usage on schema app to crawler;"
        "create function app.crawl() returns boolean language plpgsql volatile as"
        " $$ begin perform pg_sleep(0.02); return true; end $$;"
        "create table app.turtle (id integer primary key, said text);"
        "alter table app.turtle enable row level security;"
        "create policy crawl on app.turtle to crawler using (app.crawl());"
        "grant select on app.turtle to crawler; select sluice.register('turtles', 'app.turtle')"
    )
    with client_as(http, service, "crawler") as client:
        yield client


def turtles(database: psycopg.Connection, letters: int) -> None:
    """A hundred new ones, with so many letters each."""
    database.execute("truncate app.turtle")
    database.execute(
        "insert into app.turtle select n, repeat('x', %s) from generate_series(1, 100) as n",
        [letters],
    )


def remove(database: psycopg.Connection) -> None:
    """Turtles that whoever reads the replica still sees: replay has to cancel them."""
    database.execute("delete from app.turtle where id > 50")
    database.execute("vacuum app.turtle")


def test_a_download_that_replay_cancels_breaks_off(
    crawler: httpx.Client, database: psycopg.Connection
) -> None:
    turtles(database, 100_000)
    with crawler.stream("GET", "/v1/exports?resource=turtles") as reply:
        assert reply.headers["x-read-from"] == "replica"
        blocks = reply.iter_bytes()
        assert next(blocks)
        remove(database)
        with pytest.raises(httpx.RemoteProtocolError):
            list(blocks)


def test_one_that_replay_cancels_before_its_first_byte_reads_the_primary(
    crawler: httpx.Client, database: psycopg.Connection, replica: embedded.Server
) -> None:
    turtles(database, 1)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(crawler.get, "/v1/exports?resource=turtles&format=csv")
        until(lambda: copies(replica.dsn))
        remove(database)
        reply = begun.result()
    assert (reply.headers["x-read-from"], reply.text.count("\n")) == ("primary", 51)


def test_a_job_that_replay_cancels_is_done_again_on_the_primary(
    http: httpx.Client,
    crawler: httpx.Client,
    database: psycopg.Connection,
    replica: embedded.Server,
) -> None:
    turtles(database, 1)
    job = crawler.post("/v1/exports", json={"resource": "turtles"}).json()
    until(lambda: copies(replica.dsn))
    remove(database)
    # its second attempt need not wait here
    until(
        lambda: database.execute(
            "with u as (update sluice.job set not_before = null where not_before is not null"
            " returning job_id) select sluice.announce('work') from u"
        ).fetchone()
    )
    done = ended(http, job["job_id"])
    assert (done["status"], done["exported"]) == ("completed", 50)


def test_a_job_that_is_cancelled_leaves_the_replica(
    http: httpx.Client,
    crawler: httpx.Client,
    database: psycopg.Connection,
    replica: embedded.Server,
) -> None:
    turtles(database, 1)
    database.execute("insert into app.turtle select n, '' from generate_series(101, 1000) as n")
    job = crawler.post("/v1/exports", json={"resource": "turtles"}).json()
    until(lambda: copies(replica.dsn))
    held = database.execute(
        "select count(*) from pg_stat_activity"
        " where backend_xmin is not null and pid <> pg_backend_pid()"
    ).fetchone()
    assert held == (0,)  # nothing on the primary keeps vacuum from its work
    crawler.post(f"/v1/exports/{job['job_id']}/cancel")
    assert ended(http, job["job_id"])["status"] == "cancelled"
    until(lambda: not copies(replica.dsn), 5)


def test_another_database_is_refused_and_the_primary_itself_is_told(
    database: psycopg.Connection, primary: embedded.Server, open_tmp: Path
) -> None:
    with pytest.raises(psycopg.Error, match="leads to another database"):
        database.execute(
            'select sluice.replica_state(sluice.source_place() || \'{"database": "shop"}\')'
        )
    assert doctor(primary.dsn, primary.dsn, open_tmp) == (
        "warn", "SLUICE_EXPORT_DATABASE_URL leads to the primary itself",
    )  # fmt: skip


def doctor(dsn: str, replica: str, cwd: Path) -> tuple[str, str]:
    """What `pgsluice doctor` finds of the replica."""
    done = subprocess.run(
        [sys.executable, "-m", "pgsluice", "doctor", "--json"],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(TOP / "src"),
            "DATABASE_URL": dsn,
            "SLUICE_EXPORT_DATABASE_URL": replica,
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    [found] = [one for one in json.loads(done.stdout) if one["finding"] == "replica"]
    return found["state"], found["told"]


def test_one_that_is_down_is_not_needed(
    http: httpx.Client, database: psycopg.Connection, replica: embedded.Server, open_tmp: Path
) -> None:
    state, told = doctor(database.info.dsn + f" password={database.info.password}", replica.dsn,
                         open_tmp)  # fmt: skip
    assert (state, told) == (
        "warn", "exports there are cancelled when they hold up replay for 100ms",
    )  # fmt: skip
    replica.stop()
    reply = people(http, limit="1")
    assert (reply.status_code, reply.headers["x-read-from"]) == (200, "primary")
    ready = http.get("/ready")
    assert (ready.status_code, ready.json()["replica"]) == (200, {"status": "unavailable"})
    assert http.get("/health").json()["replica"] == {"status": "unavailable"}
    assert finished(http)["status"] == "completed"
    back = embedded.start(open_tmp / "replica", pg_bin=str(replica.bindir), settings=STREAMED)
    until(lambda: people(http, limit="1").headers["x-read-from"] == "replica")
    back.stop()
