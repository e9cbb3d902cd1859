"""Hundreds of jobs that end in every way, and are removed: nothing stays behind."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from .client import Client
from .conftest import Drip, until, users
from .fleet import Fleet

TABLE = """
create table public.slow (id integer primary key);
create function public.pause() returns trigger language plpgsql as
    $$ begin perform pg_sleep(20); return null; end $$;
create trigger pause after insert on public.slow
    for each statement execute function public.pause();
select sluice.register('slow', 'public.slow');
"""
# Every table that grows with jobs, and what the queue keeps.
OURS = """
select c.oid::regclass::text from pg_class as c
where c.relkind = 'r'
    and c.relnamespace = any ('{sluice,sluice_stage,procrastinate}'::regnamespace[])
order by 1
"""
CATALOGS = ("pg_class", "pg_attribute", "pg_type", "pg_depend", "pg_index", "pg_constraint")
MB = 1024 * 1024

# What Prometheus is told, a row for each kind of job and of request: these are to stay.
TOTALS = ("sluice.http_total", "sluice.job_total")


@dataclass
class Held:
    """What a fleet holds at rest."""

    rows: dict[str, int]
    catalog_rows: dict[str, int]
    catalog_heaps: int
    catalog_bytes: int
    files: list[str]
    sessions: Counter[str]
    locks: int
    open_files: list[int]
    rss: list[int]


def held(fleet: Fleet) -> Held:
    """What there is now; the catalogs after a VACUUM."""
    pids = [member.pid for member in (*fleet.apis, *fleet.workers)]
    with fleet.connect() as conn:

        def value(query: str) -> int:
            row = conn.execute(query.encode()).fetchone()
            assert row
            return int(row[0])

        for name in CATALOGS:
            conn.execute(f"vacuum pg_catalog.{name}".encode())
        return Held(
            rows=_rows(conn),
            catalog_rows={name: value(f"select count(*) from {name}") for name in CATALOGS},
            catalog_heaps=sum(value(f"select pg_relation_size('{n}')") for n in CATALOGS),
            catalog_bytes=sum(value(f"select pg_total_relation_size('{n}')") for n in CATALOGS),
            files=_files(fleet),
            sessions=Counter(
                name for (name,) in conn.execute(
                    "select application_name from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
            ),
            locks=value("select count(*) from pg_locks where locktype = 'advisory'"),
            open_files=[len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids],
            rss=[_rss(pid) for pid in pids],
        )  # fmt: skip


def _rows(conn: psycopg.Connection) -> dict[str, int]:
    """How many rows each of our tables has; a per-job table is one by itself."""
    tables = [name for (name,) in conn.execute(OURS.encode())]
    return {name: conn.execute(f"table {name}".encode()).rowcount for name in tables}


def _files(fleet: Fleet) -> list[str]:
    return [str(path) for path in fleet.store.rglob("*") if path.is_file()]


def _rss(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * 4096


class Jobs:
    """A hundred jobs, eight at a time, each brought to its end; then all are removed."""

    def __init__(self, fleet: Fleet, client: Client) -> None:
        self._fleet, self._client = fleet, client
        self.seen: Counter[str] = Counter()
        self._paths: list[str] = []

    def run(self) -> None:
        kinds: list[Callable[[int], None]] = [
            self._import, self._import, self._atomic, self._dry, self._cancelled, self._retried,
            self._export, self._export, self._broken, self._watched,
        ]  # fmt: skip
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: kinds[n % len(kinds)](n), range(100)))

    def remove(self) -> None:
        """Half of them by DELETE, the others because their time is over."""
        for number, path in enumerate(self._paths):
            if number % 2:
                assert self._client.send("DELETE", path).status_code == 204
        self._fleet.run(
            "update sluice.job set expires_at = clock_timestamp() - interval '1 second';"
            "update sluice.idempotency set created_at = created_at - interval '2 days',"
            " beat_at = beat_at - interval '2 days'"
        )
        until(lambda: self._fleet.one("select (sluice.expire() ->> 'jobs')::integer") == 0)

    def _post(self, wanted: str, resource: str, body: bytes, **options: str) -> str:
        given = {"resource": resource, "format": "csv", **options}
        path = f"/v1/imports/{self._client.post('/v1/imports', params=given, content=body)['id']}"
        return self._end(path, wanted)

    def _end(self, path: str, wanted: str) -> str:
        job = self._client.ended(path, 60)
        assert job["status"] == wanted, job
        self.seen[job["status"]] += 1
        self._paths.append(path)
        return path

    def _import(self, number: int) -> None:
        self._post("completed", "users", users(number * 1000, 10 + 13 * number))

    def _atomic(self, number: int) -> None:
        self._post("failed", "users", users(number * 1000, 200), atomic="true")

    def _dry(self, number: int) -> None:
        self._post("completed", "users", users(number * 1000, 50), dry_run="true")

    def _cancelled(self, number: int) -> None:
        given = {"resource": "slow", "format": "csv"}
        body = f"id\n{number}\n"
        job = self._client.post("/v1/imports", params=given, content=body)
        if number % 20 < 10:
            time.sleep(0.3)  # it may be at work by now
        reply = self._client.send("POST", f"/v1/imports/{job['id']}/cancel")
        assert reply.status_code == 202, reply.text
        self._end(f"/v1/imports/{job['id']}", "cancelled")

    def _retried(self, number: int) -> None:
        path = self._post("completed", "users", users(number * 1000 + 50, 100))
        job = self._client.post(f"{path}/retry")
        self._end(f"/v1/imports/{job['id']}", "completed")

    def _export(self, number: int) -> None:
        request = {"resource": "users", "format": "csv" if number % 2 else "ndjson"}
        job = self._client.post("/v1/exports", json=request)
        path = self._end(f"/v1/exports/{job['id']}", "completed")
        assert self._client.send("GET", f"{path}/download").status_code == 200

    def _broken(self, number: int) -> None:
        """An upload whose client leaves in the midst of it."""
        with Drip(self._fleet.apis[number % 2].url) as drip:
            drip.send(users(number * 1000, 500))
            time.sleep(0.05)

    def _watched(self, number: int) -> None:
        """Progress by events, to the end of the job."""
        given = {"resource": "users", "format": "csv"}
        body = users(number * 1000, 20)
        job = self._client.post("/v1/imports", params=given, content=body)
        reply = self._client.send("GET", f"/v1/imports/{job['id']}/events")
        assert "completed" in reply.text
        self._end(f"/v1/imports/{job['id']}", "completed")


def test_two_hundred_jobs_leave_nothing_behind(fleet: Fleet, client: Client) -> None:
    fleet.run(TABLE)
    fleet.api(), fleet.api()
    fleet.worker(), fleet.worker()
    until(lambda: fleet.one("select count(*) from procrastinate.procrastinate_workers") == 2)
    empty = held(fleet)
    # Pools and memory have their size, and the catalogs their room, after the first hundred.
    before, between, after = (_after_a_hundred(fleet, client) for _ in range(3))
    _tidy(fleet, empty)
    assert sum(after.rows[name] for name in TOTALS) <= 200
    assert after.catalog_rows == empty.catalog_rows
    assert after.catalog_heaps <= before.catalog_heaps
    assert after.catalog_bytes <= 1.2 * between.catalog_bytes
    assert after.locks == empty.locks
    # A pool that was not at its full size may have grown by a few.
    assert (after.sessions - before.sessions).total() <= 8
    opened = zip(after.open_files, before.open_files, strict=True)
    assert all(now <= then + 8 for now, then in opened)
    grown = [(now - then) / MB for now, then in zip(after.rss, before.rss, strict=True)]
    print(f"\nleak: RSS {[r // MB for r in after.rss]} MB, grown by {[round(g, 1) for g in grown]};"
          f" catalogs {empty.catalog_bytes // 1024} -> {after.catalog_bytes // 1024} kB,"
          f" sessions {dict(after.sessions)}, open files {after.open_files}")  # fmt: skip
    assert max(grown) < 20
    assert fleet.tracebacks() == []


def _after_a_hundred(fleet: Fleet, client: Client) -> Held:
    jobs = Jobs(fleet, client)
    jobs.run()
    assert jobs.seen == {"completed": 80, "failed": 10, "cancelled": 10}
    jobs.remove()
    return held(fleet)


def _tidy(fleet: Fleet, empty: Held) -> None:
    """Wait for what is removed later: a worker removes files every 15 s."""

    def left() -> dict[str, int]:
        with fleet.connect() as conn:
            rows = _rows(conn)
        return {
            name: n for name, n in rows.items() if n != empty.rows.get(name) and name not in TOTALS
        }

    with suppress(AssertionError):
        until(lambda: not left() and _files(fleet) == empty.files, 30, 0.3)
    assert left() == {}
    assert _files(fleet) == empty.files
