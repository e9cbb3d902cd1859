"""Sessions that are really at work while a test does something to their job."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.sql.importer import Connection, begin, csv_text, rows, step, table

SLOW = """
create function public.slow(v integer) returns boolean language plpgsql
as $$ begin if v = 7 then perform pg_sleep({}); end if; return true; end $$;
create function public.slow_row() returns trigger language plpgsql
as $$ begin perform public.slow(new.v); return new; end $$;
"""
WHERE = {
    "cast": ("alter table t add check (public.slow(v))",),
    "match": ("alter table t add w integer default 7, add check (public.slow(w))",),
    "merge": ("create trigger s before insert on t for each row execute function slow_row()",),
}


def slow_table(conn: Connection, where: str, seconds: int = 60) -> None:
    """Register a table t (id, v) where a v of 7 takes long in the cast, the match or the merge."""
    conn.execute(SLOW.format(seconds))
    table(conn, "id integer primary key, v integer", *WHERE[where])


def accept(conn: Connection, resource: str, data: str, form: str = "csv", **options: object) -> str:
    """Begin and accept an import; nobody carries it out yet."""
    job_id = begin(conn, resource, data, form, **options)
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    return job_id


def numbers(count: int, **more: object) -> str:
    """A file of records 1, 2, … with v = id."""
    return csv_text(["id", "v", *more], *([i, i, *more.values()] for i in range(1, count + 1)))


def until(conn: Connection, query: str, seconds: float = 20) -> None:
    """Wait until a query gives true."""
    end = time.monotonic() + seconds
    while not rows(conn, query)[0]:
        assert time.monotonic() < end, query
        time.sleep(0.02)


ASLEEP = (
    "select count(*) > 0 from pg_stat_activity"
    " where datname = current_database() and wait_event = 'PgSleep'"
)


class Worker(threading.Thread):
    """A session that takes steps until there is none; `failures` tells how its statements ended."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self.failures: list[str | None] = []
        self.dsn = dsn

    def run(self) -> None:
        while True:
            try:
                with psycopg.connect(self.dsn, autocommit=True) as conn:
                    while (status := step(conn)["status"]) != "idle":
                        if status != "done":
                            time.sleep(0.02)
                return
            except psycopg.Error as error:
                self.failures.append(error.sqlstate)
                return


@contextmanager
def at_work(conn: Connection, dsn: str) -> Iterator[Worker]:
    """A worker that sleeps over a slow record while the block runs, and has ended after it."""
    worker = Worker(dsn)
    worker.start()
    try:
        until(conn, ASLEEP)
        yield worker
    finally:
        worker.join(20)
    assert not worker.is_alive()
