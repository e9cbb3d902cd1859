"""Records of an upload are cast while the rest comes: nothing of what it gives depends on that."""

import random
import threading
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.sql.importer import Connection, Import, begin, csv_text, rows, run, step, table
from tests.sql.test_crash import crash

HEADER = ["id", "v", "note"]
COLUMNS = "id integer primary key, v integer check (fits(v)), note text unique"
FITS = "create function fits(integer) returns boolean immutable language sql return $1 < %s"


class Upload:
    """A file on its way in, segment by segment, of which it is known what it is for."""

    def __init__(self, conn: Connection, header: list[str] = HEADER, **options: Any) -> None:
        self.conn, self.sent = conn, 0
        [(begun,)] = conn.execute(
            "select sluice.receive_begin('csv', %s, '{}', 'f.csv')", [header]
        ).fetchall()
        self.job, self.copy = begun["job_id"], begun["copy_plain"]
        self.options = options

    def send(self, records: list[list[Any]]) -> None:
        """Copy and commit a segment."""
        with self.conn.transaction():
            with self.conn.cursor() as cursor, cursor.copy(self.copy) as copy:
                copy.write(csv_text([], *records).removeprefix("\n"))
            self.conn.execute(
                "select sluice.receive_segment(%s, %s, 9, '[]')", [self.job, len(records)]
            )
            if not self.sent:
                self.conn.execute(
                    "select sluice.receive_ahead(%s, 't', %s)", [self.job, Jsonb(self.options)]
                )
        self.sent += len(records)

    def cast(self) -> int:
        """Have all cast that can be; how many records that is by now."""
        while (reply := step(self.conn))["status"] == "done":
            assert (reply["kind"], reply["job_id"]) == ("cast", self.job)
        assert reply["status"] == "idle"
        return int(self.ask("select coalesce(sum(rows), 0) from sluice.step")[0])

    def finish(self, **options: Any) -> Import:
        """Accept the upload with these options, or those that it began with, and carry it out."""
        self.accept(**options)
        return run(self.conn, self.job)

    def accept(self, **options: Any) -> None:
        self.conn.execute(
            "select sluice.receive_finish(%s, 't', %s, %s, 9, 'x')",
            [self.job, Jsonb(options or self.options), self.sent],
        )

    def ask(self, query: str) -> list[Any]:
        return rows(self.conn, query)


def records(count: int, first: int = 0) -> list[list[Any]]:
    """Records as long as short ones, some wrong, some twice."""
    rnd = random.Random(first)  # the same ones for the same number
    made = []
    for n in range(first, first + count):
        key = n - 7 if n % 300 == 10 else n
        value = "x" if n % 500 == 3 else 60 if n % 700 == 5 else n % 50
        made.append([key, value, f"{n}" + "n" * rnd.choice([1, 5, 40, 300])])
    return made


def prepared(conn: Connection) -> None:
    """The table t, with some rows, and its twin u."""
    conn.execute((FITS % 50).encode())
    for name in "tu":
        table(
            conn, COLUMNS,
            f"insert into {name} select i * 10, 1, 'old ' || i from generate_series(1, 2000) as i",
            name=name,
        )  # fmt: skip


def assert_as_without(
    conn: Connection, done: Import, sent: list[list[Any]], **options: Any
) -> None:
    """It has left what the same file leaves of which nothing was cast before its job began."""
    plain = run(conn, begin(conn, "u", csv_text(HEADER, *sent), "csv", **options))
    for one in (done, plain):
        assert one.job["state"] == "completed", one.job["error"]
    assert done.counts == plain.counts
    assert done.verdicts == plain.verdicts
    assert rows(conn, "select * from t except select * from u") == []
    assert rows(conn, "select count(*) from t") == rows(conn, "select count(*) from u")
    assert rows(conn, "select count(*) from sluice.ahead") == [0]


def test_what_has_arrived_is_cast_while_the_rest_comes(conn: Connection) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(100_000)
    cast = []
    for part in range(0, 100_000, 25_000):
        upload.send(sent[part : part + 25_000])
        cast.append(upload.cast())
    assert 20_000 < cast[0] <= 25_000
    assert 80_000 < cast[3] <= 100_000
    upload.accept()
    [start] = [reply for reply in [step(conn, upload.job)] if reply["kind"] == "start"]
    assert start["done"] == cast[3], "its progress begins with them"
    done = run(conn, upload.job)
    assert upload.ask("select sum(rows) from sluice.step where kind = 'cast'") == [100_000]
    assert (
        upload.ask("select sum(rows) from sluice.step where kind = 'cast' and n_from > 0")[0] > 0
    ), "some found room in blocks that had been cast"
    assert upload.ask("select sum(rows) from sluice.step where n_to < 100002") == [cast[3]]
    assert_as_without(conn, done, sent)


def test_a_few_records_are_not_worth_it(conn: Connection) -> None:
    prepared(conn)
    upload = Upload(conn)
    upload.send(records(19_999))
    assert upload.cast() == 0
    assert upload.ask("select spec from sluice.ahead") == [None]


@pytest.mark.parametrize(
    "late", [{"mode": "insert"}, {"mapping": {"note": None}}, {"trim": "true"}]
)
def test_what_is_said_behind_the_file_counts(conn: Connection, late: dict[str, Any]) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(25_000)
    upload.send(sent)
    assert upload.cast() > 0
    done = upload.finish(**late)
    assert upload.ask("select count(*) from sluice.step where n_from > 0") == [0]
    assert_as_without(conn, done, sent, **late)


@pytest.mark.parametrize(
    "change",
    [
        f"create or replace {(FITS % 40).removeprefix('create ')}",
        "alter table t add check (v <> 13); alter table u add check (v <> 13)",
        "alter table t alter note type varchar(100); alter table u alter note type varchar(100)",
    ],
)
def test_rules_that_change_meanwhile_count(conn: Connection, change: str) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(25_000)
    upload.send(sent)
    assert upload.cast() > 0
    conn.execute(change.encode())
    done = upload.finish()
    assert upload.ask("select count(*) from sluice.step where n_from > 0") == [0]
    assert_as_without(conn, done, sent)


def test_a_new_value_of_an_enum_counts(conn: Connection) -> None:
    conn.execute("create type mood as enum ('good')")
    table(conn, "id integer primary key, m mood")
    upload = Upload(conn, ["id", "m"])
    upload.send([[n, "good" if n % 2 else "bad"] for n in range(21_000)])
    assert upload.cast() > 0
    conn.execute("alter type mood add value 'bad'")
    assert upload.finish().counts == (21_000, 0, 0, 0)


def test_a_crash_takes_what_was_cast_and_no_more(conn: Connection) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(50_000)
    upload.send(sent[:25_000])
    upload.cast()
    crash(conn)
    upload.send(sent[25_000:])
    assert upload.cast() > 0, "the rest of the record of it is still there"
    assert_as_without(conn, upload.finish(), sent)


@pytest.mark.parametrize("after", range(1, 6))
def test_a_crash_later_has_all_cast_again(conn: Connection, after: int) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(50_000)
    for part in (0, 25_000):
        upload.send(sent[part : part + 25_000])
        upload.cast()
    upload.accept()
    for _ in range(after):
        step(conn, upload.job)
    crash(conn)
    assert_as_without(conn, run(conn, upload.job), sent)


def test_what_cannot_be_judged_is_told_in_its_turn(conn: Connection) -> None:
    prepared(conn)
    upload = Upload(conn, ["id", "v", "nonsense"], unknown_fields="reject")
    upload.send(records(21_000))
    assert upload.cast() == 0
    assert upload.ask("select ended from sluice.ahead") == [True], "once is enough"
    assert upload.ask("select count(*) from pg_class where relname ~ '^[pwe]0?_'") == [0]
    with pytest.raises(psycopg.Error, match="nonsense"):
        upload.accept()


def test_what_is_wrong_with_the_options_is_told_at_the_end(conn: Connection) -> None:
    prepared(conn)
    upload = Upload(conn, mode="sideways")
    upload.send(records(25_000))
    assert upload.cast() == 0
    with pytest.raises(psycopg.Error, match="sideways"):
        upload.accept()


def test_one_of_which_nothing_can_be_cast_is_in_nobodys_way(conn: Connection) -> None:
    prepared(conn)
    burned, upload = Upload(conn), Upload(conn)
    stage = "sluice_stage.s_" + burned.job.replace("-", "")
    conn.execute("select setval(pg_get_serial_sequence(%s, '_n'), 30000)", [stage])
    burned.send(records(25_000))
    upload.send(records(25_000))
    assert step(conn)["job_id"] == upload.job
    conn.execute("select sluice.receive_abort(%s)", [upload.job])
    assert burned.finish(mode="insert").job["state"] == "completed"


def test_a_row_that_has_come_since_is_found(conn: Connection) -> None:
    """Its own file was accepted first: whoever refers to it need not wait before sending."""
    table(conn, "id integer primary key", name="parent")
    conn.execute("create table allowed (v integer primary key)")
    conn.execute(
        "create function is_allowed(integer) returns boolean immutable language sql"
        " return exists (select from public.allowed where v = $1)"
    )
    table(
        conn,
        "id integer primary key, p integer references parent, v integer check (is_allowed(v))",
        "insert into parent select generate_series(1, 24000)",
        "insert into allowed select generate_series(1, 24000)",
    )
    upload = Upload(conn, ["id", "p", "v"])
    upload.send([[n, n, n] for n in range(1, 26_001)])
    assert upload.cast() > 24_000
    upload.send([[n, 1, 1] for n in range(30_000, 55_000)])
    upload.cast()
    conn.execute("insert into parent values (24001), (24002), (24004)")
    conn.execute("insert into allowed values (24002), (24003), (24004)")
    done = upload.finish()
    assert done.counts == (49_002, 0, 0, 1998)
    assert done.verdicts[:2] == [(24_001, "v", "check"), (24_003, "p", "reference")]
    assert (
        upload.ask("select cardinality(numbers) from sluice.step where numbers is not null")[0]
        > 1000
    )


def test_when_most_is_wrong_all_is_cast_again(conn: Connection) -> None:
    prepared(conn)
    conn.execute(f"create or replace {(FITS % 10).removeprefix('create ')}".encode())
    upload, sent = Upload(conn), records(25_000)
    upload.send(sent)
    assert upload.cast() > 20_000
    done = upload.finish()
    assert upload.ask("select count(*) from sluice.step where n_to < 25002") == [0]
    assert_as_without(conn, done, sent)


def test_a_dump_holds_nothing_up(conn: Connection, dsn: str) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(25_000)
    upload.send(sent)
    upload.cast()
    with psycopg.connect(dsn) as dump:
        [plan] = upload.ask("select oid::regclass::text from pg_class where relname ~ '^p0_'")
        dump.execute(f"lock table {plan} in access share mode".encode())
        done = upload.finish(mode="insert")
        assert upload.ask("select swept from sluice.job") == [False]
    conn.execute("select sluice.sweep()")
    assert upload.ask("select count(*) from pg_class where relname ~ '^[spwe]0?_'") == [0]
    assert_as_without(conn, done, sent, mode="insert")


def test_a_cancel_ends_a_cast_under_way(conn: Connection, dsn: str) -> None:
    conn.execute(
        "create function slow(integer) returns boolean immutable language sql"
        " return $1 > 0 or pg_sleep(30) is not null"
    )
    table(conn, "id integer primary key, v integer check (slow(v))")
    upload = Upload(conn, ["id", "v"])
    upload.send([[n, 0 if n == 5 else 1] for n in range(25_000)])
    with psycopg.connect(dsn, autocommit=True) as other:
        caster = threading.Thread(target=lambda: step(other))
        caster.start()
        sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        while upload.ask(sleeping) != [1]:
            assert caster.is_alive()
        upload.accept()
        assert step(conn)["status"] == "busy"
        conn.execute("select sluice.cancel_job(%s)", [upload.job])
        caster.join(10)
        assert not caster.is_alive()
    conn.execute("select sluice.sweep()")
    assert upload.ask("select state, swept from sluice.job") == [("cancelled", True)]
    assert upload.ask("select count(*) from pg_class where relname ~ '^[pwe]0?_'") == [0]


def test_fields_of_composite_types_are_left_to_the_job(conn: Connection) -> None:
    conn.execute("create type pair as (a integer, b integer)")
    for name, form in {"t": "pair", "u": "pair[]"}.items():
        table(conn, f"id integer primary key, c {form}", name=name)
        [spec] = rows(
            conn,
            f"select sluice.import_spec(gen_random_uuid(), '{name}', '{{id,c}}', 'cells', '{{}}')",
        )
        [(may,)] = conn.execute("select sluice.may_cast_ahead(%s)", [Jsonb(spec)]).fetchall()
        assert not may


def test_an_upload_that_is_given_up_leaves_nothing(conn: Connection) -> None:
    prepared(conn)
    upload = Upload(conn)
    upload.send(records(25_000))
    upload.cast()
    conn.execute("select sluice.receive_abort(%s)", [upload.job])
    assert_nothing_left(conn)


def test_giving_up_waits_for_a_cast_under_way(conn: Connection, dsn: str) -> None:
    prepared(conn)
    upload = Upload(conn)
    upload.send(records(25_000))
    with psycopg.connect(dsn) as other:
        assert step(other)["status"] == "done"
        given_up = threading.Thread(
            target=lambda: conn.execute("select sluice.receive_abort(%s)", [upload.job])
        )
        given_up.start()
        given_up.join(0.3)
        assert given_up.is_alive(), "it waits for the commit"
        other.commit()
    given_up.join(10)
    assert_nothing_left(conn)


def test_the_end_of_an_upload_does_not_wait_for_a_cast(conn: Connection, dsn: str) -> None:
    prepared(conn)
    upload, sent = Upload(conn), records(25_000)
    upload.send(sent)
    upload.cast()
    with psycopg.connect(dsn) as other:
        other.execute("select from sluice.ahead for update")  # as whoever casts has it
        conn.execute("set lock_timeout = '100ms'")
        upload.accept()
        assert step(conn)["status"] == "busy", "its job waits for the record of that"
    conn.execute("reset lock_timeout")
    assert_as_without(conn, run(conn, upload.job), sent)


def test_an_upload_without_a_sign_of_life_is_swept_with_what_was_cast(conn: Connection) -> None:
    prepared(conn)
    upload = Upload(conn)
    upload.send(records(25_000))
    upload.cast()
    conn.execute("update sluice.job set heartbeat_at = now() - interval '61 seconds'")
    assert rows(conn, "select sluice.sweep() ->> 'uploads'") == ["1"]
    assert_nothing_left(conn)


def assert_nothing_left(conn: Connection) -> None:
    assert rows(
        conn,
        "select (select count(*) from sluice.job), (select count(*) from sluice.step),"
        " (select count(*) from sluice.ahead), (select count(*) from pg_class"
        " where relnamespace = 'sluice_stage'::regnamespace and relkind = 'r')",
    ) == [(0, 0, 0, 0)]


def test_a_file_that_is_fetched_is_cast_meanwhile(conn: Connection) -> None:
    prepared(conn)
    sent = records(50_000)
    [(job,)] = conn.execute(
        "select sluice.import_from('t', url => 'https://x.org/f.csv') ->> 'job_id'"
    ).fetchall()
    for attempt in (1, 2):
        assert rows(conn, "select sluice.take_fetch() ->> 'attempt'") == [str(attempt)]
        [(begun,)] = conn.execute(
            "select sluice.fetch_begin(%s, %s, 'csv', %s, '{}', 'f.csv')", [job, attempt, HEADER]
        ).fetchall()
        for part in (0, 25_000):
            with conn.transaction():
                with conn.cursor() as cursor, cursor.copy(begun["copy_plain"]) as copy:
                    copy.write(csv_text([], *sent[part : part + 25_000]).removeprefix("\n"))
                conn.execute("select sluice.fetch_segment(%s, %s, 25000, 9, '[]')", [job, attempt])
            assert step(conn)["kind"] == "cast"
        if attempt == 1:
            conn.execute("select sluice.fetch_release(%s, 1, 0, 'no answer')", [job])
            assert rows(
                conn,
                "select count(*) from sluice.step union all select count(*) from sluice.ahead"
                " union all select count(*) from pg_class where relname ~ '^[spwe]0?_'",
            ) == [0, 0, 0], "an attempt that ends takes all of it with it"
    conn.execute("select sluice.fetch_finish(%s, 2, 50000, 9)", [job])
    done = run(conn, job)
    assert rows(conn, "select count(*) > 1 from sluice.step where n_to < 50002") == [True]
    assert_as_without(conn, done, sent)


def test_the_work_of_a_login_is_left_to_its_sessions(conn: Connection) -> None:
    prepared(conn)
    conn.execute("create role loader login; grant sluice_login to loader; grant all on t to loader")
    conn.execute("select sluice.create_api_key('k', login => 'loader')")
    key = rows(conn, "select key_id::text from sluice.api_key")[0]
    conn.execute("select set_config('sluice.key', %s, false)", [key])
    upload = Upload(conn)
    upload.send(records(25_000))
    assert upload.cast() == 0
    assert upload.ask("select count(*) from sluice.ahead") == [0]


def test_a_fetch_and_a_cast_of_its_file_do_not_wait_for_each_other(
    conn: Connection, dsn: str
) -> None:
    prepared(conn)
    [job] = rows(conn, "select sluice.import_from('t', url => 'https://x.org/f') ->> 'job_id'")
    conn.execute("select sluice.take_fetch()")
    [(begun,)] = conn.execute(
        "select sluice.fetch_begin(%s, 1, 'csv', %s, '{}', 'f.csv')", [job, HEADER]
    ).fetchall()
    with conn.cursor() as cursor, cursor.copy(begun["copy_plain"]) as copy:
        copy.write(csv_text([], *records(60_000)).removeprefix("\n"))
    segment = "select sluice.fetch_segment(%s, 1, %s, 9, '[]')"
    conn.execute(segment, [job, 60_000])
    with psycopg.connect(dsn) as other:
        other.execute(segment, [job, 0])
        assert step(conn)["status"] == "done", "a segment is under way"
    with psycopg.connect(dsn) as other:
        conn.execute("update sluice.job set received = 90_000")
        assert step(other)["status"] == "done"
        conn.execute("set lock_timeout = '100ms'")
        conn.execute("begin")
        conn.execute(segment, [job, 0])
        conn.execute(segment, [job, 1])
        conn.execute("rollback")
