"""Schedules in SQL: what is judged, what fires when, and what becomes of what cannot."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

EXPORT = {"resource": "users", "format": "csv"}
IMPORT = {"resource": "users", "url": "https://example.org/users.csv", "mode": "insert"}


@pytest.fixture
def call(conn: psycopg.Connection) -> Callable[..., Any]:
    """Calls a function of ours: call("schedule", "name", …)."""

    def ask(name: str, *args: Any, **named: Any) -> Any:
        values = [Jsonb(a) if isinstance(a, dict) else a for a in args]
        words = ["%s"] * len(args) + [f"{key} => %({key})s" for key in named]
        if named:
            assert not args
            query = f"select sluice.{name}({', '.join(words)})"
            row = conn.execute(query.encode(), named).fetchone()
        else:
            row = conn.execute(
                f"select sluice.{name}({', '.join(words)})".encode(), values
            ).fetchone()
        assert row
        return row[0]

    return ask


@pytest.fixture
def due(conn: psycopg.Connection, call: Callable[..., Any]) -> Callable[..., None]:
    """Makes an export schedule of each minute whose next tick was due some seconds ago."""

    def make(
        name: str,
        seconds: int = 1,
        kind: str = "export",
        request: Any = EXPORT,
        missed: str = "once",
        cron: str = "* * * * *",
    ) -> None:
        call("schedule", name, cron, kind, request, "UTC", missed)
        conn.execute(
            "update sluice.schedule set next_at = date_trunc('second', clock_timestamp())"
            " - make_interval(secs => %s) where name = %s",
            [seconds, name],
        )

    return make


def ticks(conn: psycopg.Connection, name: str) -> list[Any]:
    """Job and error of each tick, the oldest first."""
    return conn.execute(
        "select job_id, error from sluice.tick where schedule = %s order by due_at", [name]
    ).fetchall()


def end_jobs(conn: psycopg.Connection) -> None:
    conn.execute(
        "update sluice.job set state = 'cancelled', phase = null,"
        " completed_at = clock_timestamp() where completed_at is null"
    )


def test_a_tick_makes_the_job_that_the_request_asks_for(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("files", kind="import", request=IMPORT)
    due("dump")
    assert call("fire_schedules")["fired"] == 2
    jobs = conn.execute(
        "select kind, schedule, resource, options ->> 'mode', source from sluice.job order by kind"
    ).fetchall()
    assert jobs == [
        ("export", "dump", "users", None, None),
        ("import", "files", "users", "insert", {"url": "https://example.org/users.csv"}),
    ]
    seen = call("schedule_json", "dump")
    assert seen["last_job_status"] == "pending"
    assert seen["last_error"] is None
    assert seen["links"]["last_job"].endswith(f"/exports/{seen['last_job_id']}")
    assert seen["next_at"] > seen["last_at"]
    assert [tick["job_id"] for tick in seen["ticks"]] == [seen["last_job_id"]]
    assert call("job_json", seen["last_job_id"])["schedule"] == "dump"


def test_what_is_not_due_is_not_fired_and_the_time_until_then_is_told(call: Any) -> None:
    assert call("fire_schedules") == {"fired": 0, "seconds": None}
    call("schedule", "soon", "5 seconds", "export", EXPORT)
    reply = call("fire_schedules")
    assert reply["fired"] == 0
    assert 0 < reply["seconds"] <= 5


def test_many_workers_fire_a_tick_once(
    conn: psycopg.Connection, dsn: str, call: Any, due: Any
) -> None:
    for number in range(10):
        due(f"s{number}")
    start = threading.Barrier(6)

    def work() -> None:
        with psycopg.connect(dsn, autocommit=True) as own:
            start.wait(10)
            for _ in range(20):
                own.execute("select sluice.fire_schedules()")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    counted = conn.execute(
        "select count(*), count(distinct schedule), (select count(*) from sluice.job)"
        " from sluice.tick where job_id is not null"
    ).fetchone()
    assert counted == (10, 10, 10)


def test_a_request_that_no_longer_works_tells_why_and_stops_no_other(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("broken", seconds=2, request={"resource": "comments"})
    due("sound")
    call("unregister", "comments")
    assert call("fire_schedules")["fired"] == 2
    [(job, error)] = ticks(conn, "broken")
    assert job is None
    assert "comments" in error
    assert call("schedule_json", "broken")["last_error"] == error
    assert ticks(conn, "sound")[0][0] is not None
    assert call("schedule_json", "broken")["next_at"] is not None


def test_a_table_that_is_being_altered_delays_its_own_schedules_only(
    conn: psycopg.Connection, dsn: str, call: Any, due: Any
) -> None:
    due("locked", seconds=2)
    due("free", request={"resource": "articles"})
    with psycopg.connect(dsn) as other:
        other.execute("lock table app.users in access exclusive mode")
        reply = call("fire_schedules")
    assert reply == {"fired": 1, "seconds": 0.1}
    assert (len(ticks(conn, "locked")), len(ticks(conn, "free"))) == (0, 1)
    assert call("fire_schedules")["fired"] == 1
    assert ticks(conn, "locked")[0][0] is not None


def test_while_a_job_runs_the_next_tick_is_skipped_and_says_so(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("busy", seconds=40)
    call("fire_schedules")
    due("busy", seconds=1)
    call("fire_schedules")
    first, second = ticks(conn, "busy")
    assert first[1] is None
    assert second == (None, "skipped: an earlier job of this schedule still runs")
    end_jobs(conn)
    conn.execute("update sluice.schedule set next_at = clock_timestamp()")
    call("fire_schedules")
    assert ticks(conn, "busy")[2][1] is None
    assert call("schedule_json", "busy")["last_error"] is None


def test_a_tick_that_is_a_little_late_is_fired_and_no_later_one_is_lost(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("late", seconds=10, cron="3 seconds", missed="skip")
    fired = 0
    while fired < 3:
        fired += call("fire_schedules")["fired"]
        end_jobs(conn)
    assert all(error is None for _, error in ticks(conn, "late"))
    gaps = conn.execute(
        "select distinct extract(epoch from due_at)::integer % 3 from sluice.tick"
        " where due_at > (select min(due_at) from sluice.tick)"
    ).fetchall()
    assert gaps == [(0,)]


@pytest.mark.parametrize(("missed", "jobs"), [("once", 1), ("skip", 0)])
def test_ticks_for_which_no_worker_ran_make_one_job_or_none(
    conn: psycopg.Connection, call: Any, due: Any, missed: str, jobs: int
) -> None:
    due("slept", seconds=3 * 86400, cron="0 0 1 1 *", missed=missed)
    assert call("fire_schedules")["fired"] == 1
    assert call("fire_schedules")["fired"] == 0
    [(job, error)] = ticks(conn, "slept")
    assert (job is not None) == (jobs == 1)
    assert error == (None if jobs else "missed: no worker ran when it was due")


def test_a_long_sleep_of_a_frequent_schedule_makes_one_job(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("slept", seconds=3600)
    assert call("fire_schedules")["fired"] == 1
    assert call("fire_schedules")["fired"] == 0
    assert len(ticks(conn, "slept")) == 1


def test_a_pause_misses_no_ticks_and_a_run_needs_none(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("paused", seconds=600)
    assert call("pause_schedule", "paused")["next_at"] is None
    assert call("fire_schedules") == {"fired": 0, "seconds": None}
    job = call("run_schedule", "paused")
    assert (job["kind"], job["status"], job["schedule"]) == ("export", "pending", "paused")
    assert ticks(conn, "paused") == []
    resumed = call("resume_schedule", "paused")
    assert resumed["next_at"] > resumed["created_at"]
    assert resumed["last_job_id"] == job["job_id"]
    assert call("fire_schedules")["fired"] == 0


def test_said_again_as_it_was_it_keeps_what_is_due(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("again", seconds=30)
    call("schedule", "again", " * * * * *", "export", EXPORT, "utc")
    assert call("fire_schedules")["fired"] == 1
    due("again", seconds=30)
    changed = call("schedule", "again", "@yearly", "export", EXPORT)
    assert changed["next_at"].endswith("-01-01T00:00:00.000000Z")
    assert changed["time_zone"] == "UTC"


def test_ticks_are_kept_to_a_number(conn: psycopg.Connection, call: Any, due: Any) -> None:
    due("many")
    conn.execute(
        "insert into sluice.tick (schedule, due_at)"
        " select 'many', now() - n * interval '1 minute' from generate_series(2, 1100) as n"
    )
    call("fire_schedules")
    assert len(ticks(conn, "many")) == 1000
    assert ticks(conn, "many")[-1][0] is not None


def test_a_tick_that_was_fired_is_not_fired_again_though_the_clock_go_back(
    conn: psycopg.Connection, call: Any, due: Any
) -> None:
    due("twice")
    row = conn.execute("select next_at from sluice.schedule").fetchone()
    assert row
    call("fire_schedules")
    end_jobs(conn)
    conn.execute("update sluice.schedule set next_at = %s", [row[0]])
    call("fire_schedules")
    assert len(ticks(conn, "twice")) == 1
    assert conn.execute("select count(*) from sluice.job").fetchone() == (1,)


def test_without_schedule_the_jobs_stay(conn: psycopg.Connection, call: Any, due: Any) -> None:
    due("gone")
    call("fire_schedules")
    call("unschedule", "gone")
    assert call("schedules_json") == {"schedules": []}
    assert conn.execute("select schedule from sluice.job").fetchall() == [("gone",)]
    for function in ("unschedule", "pause_schedule", "resume_schedule", "run_schedule"):
        with pytest.raises(psycopg.Error, match="there is no schedule 'gone'") as caught:
            call(function, "gone")
        assert caught.value.sqlstate == "IO404"


def test_the_view_shows_last_and_next(conn: psycopg.Connection, call: Any, due: Any) -> None:
    due("seen")
    call("fire_schedules")
    row = conn.execute(
        "select name, cron, time_zone, kind, paused, next_at > now(), last_at < next_at,"
        " last_state, last_error from sluice.schedules"
    ).fetchone()
    assert row == ("seen", "* * * * *", "UTC", "export", False, True, True, "pending", None)


@pytest.mark.parametrize(
    ("args", "told", "hint"),
    [
        (["a b", "@daily", "export", EXPORT], "a schedule cannot be named 'a b'", "letters"),
        ([None, "@daily", "export", EXPORT], "a schedule cannot be named null", "letters"),
        (["s", "@dayly", "export", EXPORT], "a cron expression cannot be '@dayly'", "@daily"),
        (["s", "@daily", "delete", EXPORT], "option kind cannot be 'delete'", "import, export"),
        (["s", "@daily", "export", None], "the request of a schedule must be", "such as"),
        (["s", "@daily", "export", {"resource": "usrs"}], "usrs", "users"),
        (
            ["s", "@daily", "export", EXPORT | {"filters": {"age": 1}}],
            "age",
            "",
        ),
        (["s", "@daily", "import", {"url": "https://e.org/a.csv"}], "no resource", '"resource"'),
        (["s", "@daily", "import", {"resource": "users"}], "one of url, source_path", "one"),
        (["s", "@daily", "import", IMPORT | {"object": "imports/a.csv"}], "one of url", "one"),
        (["s", "@daily", "import", IMPORT | {"modus": "x"}], "unknown option 'modus'", "mode"),
        (["s", "@daily", "import", IMPORT | {"format": "xls"}], "xls", "csv"),
        (["s", "@daily", "export", EXPORT, "CET+1"], "there is no time zone 'CET+1'", "names"),
        (["s", "@daily", "export", EXPORT, None], "there is no time zone", "names"),
        (["s", "@daily", "export", EXPORT, "UTC", "twice"], "option missed", "once, skip"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    conn: psycopg.Connection, call: Any, args: list[Any], told: str, hint: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        call("schedule", *args)
    assert caught.value.sqlstate == "IO400"
    assert told in str(caught.value.diag.message_primary)
    assert hint in (caught.value.diag.message_hint or "")
    assert call("schedules_json") == {"schedules": []}
