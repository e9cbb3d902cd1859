"""API keys with a login of their own, over a real socket: dead workers, lost logins."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ..conftest import Databases, address, serve, stop
from .conftest import is_problem, until

ROLES = ("test_api_partner", "test_api_worker", "test_api_crm")
SETUP = """
create role test_api_partner login password 'secret' in role sluice_login;
create role test_api_worker login password 'secret' in role sluice_service;
create role test_api_crm nologin;
grant test_api_partner to test_api_worker;
create schema crm authorization test_api_crm;
grant usage on schema crm to test_api_partner;
set role test_api_crm;
create table crm.note (id integer primary key, tenant text not null default 'a', who text);
insert into crm.note values (1, 'a'), (2, 'b'), (3, 'a');
alter table crm.note enable row level security;
create policy own on crm.note to test_api_partner using (tenant = 'a');
grant select, insert, update on crm.note to test_api_partner;
create function crm.tell() returns trigger language plpgsql as $$ begin
    execute 'reset role';
    new.who := current_user || ' ' || session_user;
    return new;
end $$;
create function crm.slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(60); return null; end $$;
create trigger tell before insert on crm.note for each row execute function crm.tell();
create trigger slow after insert on crm.note for each statement execute function crm.slow();
alter table crm.note disable trigger slow;
reset role;
"""


class Fenced:
    """A service that is no superuser, and a key of it with a login."""

    def __init__(self, conn: psycopg.Connection, dsn: str, folder: Path) -> None:
        self.conn, self.dsn, self.folder = conn, dsn, folder
        self.partner = make_conninfo(dsn, user=ROLES[0], password="secret")
        conn.execute("select sluice.register('notes', 'crm.note', trust_owner => true)")
        row = conn.execute(
            "select sluice.create_api_key('partner', login => 'test_api_partner')"
        ).fetchone()
        assert row
        self.key = row[0]
        self.start()

    def start(self) -> None:
        """Serve, with the login."""
        user, host, port, name = (self.info[part] for part in ("user", "host", "port", "dbname"))
        url = f"postgresql://{user}:secret@{host}:{port}/{name}"
        self.process = serve(
            cwd=self.folder,
            DATABASE_URL=make_conninfo(self.dsn, user=ROLES[1], password="secret"),
            SLUICE_LOGINS=f"{user}={url}",
            SLUICE_STORE=str(self.folder / "files"),
        )
        self.http = httpx.Client(
            base_url=address(self.process), headers={"X-API-Key": self.key}, timeout=60
        )

    @property
    def info(self) -> dict[str, Any]:
        return psycopg.conninfo.conninfo_to_dict(self.partner)

    def post(self, rows: str, wait: int = 30, **query: str) -> dict[str, Any]:
        reply = self.http.post(
            "/v1/imports",
            params={"resource": "notes", **query},
            content=f"id\n{rows}".encode(),
            headers={"Content-Type": "text/csv", "Prefer": f"wait={wait}"},
        )
        assert reply.status_code in (200, 202), reply.text
        return dict(reply.json())

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/imports/{job['job_id']}").json())

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        def look() -> Any:
            seen = self.job(job)
            return seen if seen["completed_at"] else None

        return dict(until(look, 60))

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Merges last for a minute."""
        self.conn.execute("alter table crm.note enable trigger slow")
        yield
        self.conn.execute("alter table crm.note disable trigger slow")

    def merging(self) -> list[Any]:
        """The sessions in which the login is in the middle of a merge."""
        return self.conn.execute(
            "select pid from pg_stat_activity where usename = 'test_api_partner'"
            " and datname = current_database() and wait_event = 'PgSleep'"
        ).fetchall()


@pytest.fixture(scope="module")
def fenced(databases: Databases, open_tmp: Path) -> Iterator[Fenced]:
    dsn = databases.create("test_fenced", databases.template)
    with psycopg.connect(dsn, autocommit=True) as conn:
        for role in ROLES:
            conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
        conn.execute(SETUP)
        made = Fenced(conn, dsn, open_tmp)
        yield made
        made.http.close()
        stop(made.process)
        for role in ROLES:
            conn.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(role)))
            conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    databases.drop("test_fenced")


def test_imports_and_exports_are_in_sessions_of_the_login(fenced: Fenced) -> None:
    job = fenced.post("10\n11\n2\n")
    assert (job["counts"]["inserted"], job["counts"]["rejected"]) == (2, 1)
    assert job["errors"][0]["code"] == "write"
    me = "test_api_partner test_api_partner"
    shown = fenced.http.get("/v1/exports", params={"resource": "notes", "format": "csv"}).text
    assert sorted(shown.splitlines())[:4] == ["1,a,", f"10,a,{me}", f"11,a,{me}", "3,a,"]
    assert "2,b" not in shown
    # a policy that tells who reads
    fenced.conn.execute(
        "alter policy own on crm.note using (tenant = 'a' and session_user = 'test_api_partner')"
    )
    assert (
        fenced.http.get("/v1/exports", params={"resource": "notes", "format": "csv"}).text == shown
    )
    made = fenced.http.post("/v1/exports", json={"resource": "notes", "format": "csv"}).json()
    url = f"/v1/exports/{made['job_id']}"
    until(lambda: fenced.http.get(url).json()["status"] == "completed")
    assert fenced.http.get(f"{url}/download").text == shown


def test_a_merge_is_cancelled_at_once(fenced: Fenced) -> None:
    with fenced.slow():
        job = fenced.post("30\n", wait=0)
        until(fenced.merging)
        started = time.monotonic()
        cancelled = fenced.http.post(f"/v1/imports/{job['job_id']}/cancel")
        assert cancelled.status_code == 202, cancelled.text
        assert time.monotonic() - started < 8
    assert (fenced.job(job)["status"], fenced.job(job)["counts"]["unprocessed"]) == ("cancelled", 1)
    until(lambda: not fenced.merging())


def test_a_merge_survives_the_death_of_its_worker(fenced: Fenced) -> None:
    with fenced.slow():
        job = fenced.post("40\n41\n", wait=0)
        until(fenced.merging)
        fenced.process.kill()
        stop(fenced.process)
        fenced.http.close()
    fenced.start()
    assert fenced.ended(job)["counts"]["inserted"] == 2
    assert fenced.conn.execute("select count(*) from crm.note where id >= 40").fetchone() == (2,)


def test_a_login_that_is_lost_is_told_and_the_import_retried(fenced: Fenced) -> None:
    fenced.conn.execute("alter role test_api_partner connection limit 0")
    is_problem(fenced.http.get("/v1/exports", params={"resource": "notes"}), 503)
    job = fenced.post("50\n", wait=0)
    # it may pass: it is tried for a minute
    last = "update sluice.step set attempts = 25 where attempts between 1 and 24"
    until(lambda: fenced.conn.execute(last.encode()).rowcount)
    failed = fenced.ended(job)
    assert failed["status"] == "failed"
    assert "cannot log in: too many connections" in failed["error"]["detail"]
    assert "127.0.0.1" not in failed["error"]["detail"]
    fenced.conn.execute("alter role test_api_partner connection limit -1")
    again = fenced.http.post(f"/v1/imports/{job['job_id']}/retry")
    assert fenced.ended(again.json())["counts"]["inserted"] == 1
