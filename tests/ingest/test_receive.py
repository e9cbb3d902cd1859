"""An upload becomes a stage in committed segments, or nothing at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

from pgsluice.database import Connection, Pool, new_pool
from pgsluice.ingest import receive
from pgsluice.ingest.errors import MalformedBody
from pgsluice.ingest.receive import Upload

from .streams import stream

BODY = b"".join(b"%d,user %d\n" % (i, i) for i in range(200_000))
STARTED = "select from sluice.job"
COMMITTED = "select from sluice.job where received > 0"

Query = Callable[[str], list[Any]]


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool on a database with pgsluice installed."""
    async with new_pool(dsn, size=3, name="test") as opened:
        yield opened


@pytest.fixture
def query(conn: psycopg.Connection) -> Query:
    """Runs a query on the same database, in a session and a transaction of its own."""

    def run(text: str) -> list[Any]:
        return conn.execute(text.encode()).fetchall()

    return run


def chunks(data: bytes, size: int = 100_000) -> list[bytes]:
    """The data in chunks of one size."""
    return [data[i : i + size] for i in range(0, len(data), size)]


def stage(upload: Upload) -> str:
    """The table that an upload fills."""
    return "sluice_stage.s_" + str(upload.job_id).replace("-", "")


async def rows_of(query: Query, text: str, count: int = 1) -> None:
    """Wait until a query has so many rows."""
    until = time.monotonic() + 20
    while len(query(text)) < count:
        assert time.monotonic() < until, text
        await asyncio.sleep(0.02)


def assert_nothing_left(query: Query) -> None:
    """Neither job nor line breaks nor stage, and no transaction is open."""
    assert query("select from sluice.job") == []
    assert query("select from sluice.line_break") == []
    assert query("select from pg_class where relnamespace = 'sluice_stage'::regnamespace") == []
    assert (
        query(
            "select from pg_stat_activity where state like 'idle in%' "
            "and datname = current_database()"
        )
        == []
    )


async def test_a_file_is_staged_and_counted(pool: Pool, query: Query) -> None:
    data = b"id;name\n1;a\n2;b;c\n3;\n\n4;\xff\n5;e\n"
    upload = Upload(pool, format_name="csv", options={"trim": True}, file_name="x.csv")
    totals = await upload.receive(stream([data]))
    assert (totals.records, totals.malformed, totals.bytes, totals.lines) == (5, 2, len(data), 7)
    assert query(f"select _n, c1, c2, _malformed, _line_no from {stage(upload)} order by _n") == [
        (1, "1", "a", None, 2),
        (2, None, None, "2;b;c", 3),
        (3, "3", None, None, 4),
        (4, None, None, "4;\\xff", 6),
        (5, "5", "e", None, 7),
    ]
    assert query("select format, header, options, file_name, state from sluice.job") == [
        ("csv", ["id", "name"], {"trim": True, "delimiter": ";"}, "x.csv", "receiving")
    ]
    assert query("select job_id::text, received, bytes from sluice.job") == [
        (upload.job_id, 5, len(data))
    ]


@pytest.mark.parametrize("name", ["ndjson", "json"])
async def test_json_is_staged(pool: Pool, query: Query, name: Any) -> None:
    upload = Upload(pool, format_name=name)
    totals = await upload.receive(stream([b'{"a": 1}\n{"a"', b": 2}\n"]))
    assert (totals.records, totals.lines) == (2, 2)
    assert query(f"select line from {stage(upload)} order by _n") == [('{"a": 1}',), ('{"a": 2}',)]
    assert query("select n, line from sluice.line_break") == [(1, 1)]


async def test_segments_are_committed_one_by_one_in_file_order(pool: Pool, query: Query) -> None:
    bad = BODY.replace(b"\n777,", b"\n777,x,").replace(b"\n150000,", b"\n150000,x,")
    upload = Upload(pool, format_name="csv", segment_bytes=1_000_000)
    totals = await upload.receive(stream(chunks(b"id,name\n" + bad)))
    assert (totals.records, totals.malformed, totals.lines) == (200_000, 2, 200_001)
    assert query("select received, bytes from sluice.job") == [(200_000, len(bad) + 8)]
    assert query(
        f"select count(*) from {stage(upload)} where c1 = (_n - 1)::text or _malformed is not null"
    ) == [(200_000,)]
    segments = query(
        "select xmin::text, min(_n), max(_n), count(*), count(*) filter (where _line_no is null) "
        f"from {stage(upload)} group by xmin order by 2"
    )
    assert len(segments) > 1
    last = 0
    for _, low, high, count, plain in segments:
        assert (low, high) == (last + 1, last + count)
        assert plain
        last = high
    # What is said of a segment is committed with it, and by nobody else.
    breaks = query("select xmin::text, n, line from sluice.line_break order by n")
    assert {xid for xid, _, _ in breaks} == {segment[0] for segment in segments}
    assert query("select xmin::text from sluice.job") == [(segments[-1][0],)]
    # Every record without a line of its own finds it by the breakpoints.
    assert all(line - n == 1 for _, n, line in breaks)


async def test_a_slow_client_holds_no_transaction(pool: Pool, query: Query) -> None:
    held: list[int] = []

    async def slow() -> AsyncIterator[bytes]:
        yield b"id,name\n" + BODY[:2_000_000].rpartition(b"\n")[0] + b"\n"
        for _ in range(3):
            await asyncio.sleep(1)
            held.append(
                query(
                    "select count(*) from pg_stat_activity where xact_start < now() - "
                    "interval '0.9 s' and datname = current_database()"
                )[0][0]
            )
            yield b"1,a\n" * 50_000

    upload = Upload(pool, format_name="csv", segment_seconds=0.6)
    totals = await upload.receive(slow())
    assert held == [0, 0, 0]
    assert query(f"select count(*), count(distinct xmin::text) >= 3 from {stage(upload)}") == [
        (totals.records, True)
    ]


async def test_a_quiet_client_is_kept_alive(
    pool: Pool, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "BEAT_SECONDS", 0.2)
    beats = 0

    async def beat(conn: Connection) -> None:
        nonlocal beats
        beats += 1

    async def quiet() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.5)
        assert beats
        yield b"id,name\n"
        await rows_of(query, STARTED)
        # No segment is committed meanwhile: what moves the heartbeat is the beat alone.
        for _ in range(2):
            [(seen,)] = query("select heartbeat_at::text from sluice.job where received = 0")
            await rows_of(query, f"select from sluice.job where heartbeat_at > '{seen}'")
        yield b"1,a\n"

    upload = Upload(pool, format_name="csv", segment_seconds=0.3, beat=beat)
    assert (await upload.receive(quiet())).records == 1
    assert beats >= 4


async def test_a_header_alone_has_no_records(pool: Pool, query: Query) -> None:
    upload = Upload(pool, format_name="csv")
    totals = await upload.receive(stream([b"id,name"]))
    assert totals.records == 0
    assert query(f"select from {stage(upload)}") == []


@pytest.mark.parametrize(
    ("name", "parts", "words"),
    [
        ("csv", [], "the file is empty"),
        ("json", [b" "], "the file is empty"),
        ("json", [b'[{"a": 1}\n,', b"x]"], "record 2, line 2"),
        ("json", [b'[{"a": 1}'], "cut off"),
    ],
)
async def test_a_file_that_cannot_be_read_leaves_nothing(
    pool: Pool, query: Query, name: Any, parts: list[bytes], words: str
) -> None:
    with pytest.raises(MalformedBody, match=words):
        await Upload(pool, format_name=name).receive(stream(parts))
    assert_nothing_left(query)


async def test_a_client_that_goes_away_leaves_nothing(pool: Pool, query: Query) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for chunk in chunks(b"id,name\n" + BODY):
            yield chunk
        await rows_of(query, COMMITTED)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await Upload(pool, format_name="csv", segment_bytes=1_000_000).receive(broken())
    assert_nothing_left(query)


async def test_a_cancelled_upload_leaves_nothing(pool: Pool, query: Query) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"id,name\n"
        while True:
            yield BODY[:1_000_000]
            await asyncio.sleep(0.01)

    upload = Upload(pool, format_name="csv", segment_bytes=2_000_000)
    task = asyncio.create_task(upload.receive(endless()))
    await rows_of(query, COMMITTED)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_nothing_left(query)


async def test_an_error_of_the_server_is_raised_and_leaves_nothing(
    pool: Pool, query: Query, conn: psycopg.Connection
) -> None:
    conn.execute("alter table sluice.job add check (received = 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        await Upload(pool, format_name="csv").receive(stream([b"id,name\n1,a\n"]))
    assert_nothing_left(query)


async def test_a_record_that_copy_did_not_store_is_noticed(
    pool: Pool, query: Query, conn: psycopg.Connection
) -> None:
    upload = Upload(pool, format_name="csv")

    async def skipping() -> AsyncIterator[bytes]:
        yield b"id,name\n"
        await rows_of(query, STARTED)
        conn.execute(
            "create function public.skip() returns trigger language plpgsql as "
            "$$ begin return case when new.c1 <> '2' then new end; end $$"
        )
        [(table,)] = query("select sluice.stage_name(job_id) from sluice.job")
        conn.execute(
            f"create trigger skip before insert on {table} for each row "
            "execute function public.skip()".encode()
        )
        yield b"1,a\n2,b\n3,c\n"

    with pytest.raises(RuntimeError, match="COPY stored 2 of 3 records"):
        await upload.receive(skipping())
    assert_nothing_left(query)


async def test_an_upload_that_the_sweeper_gave_up_is_told_so(
    pool: Pool, query: Query, conn: psycopg.Connection
) -> None:
    upload = Upload(pool, format_name="csv")

    async def chunks_around_a_sweep() -> AsyncIterator[bytes]:
        yield b"id,name\n"
        await rows_of(query, STARTED)
        conn.execute("update sluice.job set heartbeat_at = heartbeat_at - interval '1 day'")
        assert query("select sluice.sweep() ->> 'uploads'") == [("1",)]
        yield b"1,Ann\n"

    with pytest.raises(psycopg.Error, match="was given up") as refused:
        await upload.receive(chunks_around_a_sweep())
    assert refused.value.sqlstate == "IO409"
    assert_nothing_left(query)
