"""An upload becomes a stage in committed segments, or nothing at all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgsluice.database import Connection, Pool, new_pool
from pgsluice.ingest import receive
from pgsluice.ingest.errors import MalformedBody
from pgsluice.ingest.receive import Upload

from .streams import stream

SETUP = (Path(__file__).parent / "receiver.sql").read_bytes()
BODY = b"".join(b"%d,user %d\n" % (i, i) for i in range(200_000))

Query = Callable[[str], list[Any]]


@pytest.fixture
async def pool(empty_dsn: str) -> AsyncIterator[Pool]:
    """A pool on a database with a stand-in for the SQL side."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(SETUP)
    async with new_pool(empty_dsn, size=3, name="test") as opened:
        yield opened


@pytest.fixture
def query(empty_dsn: str) -> Query:
    """Runs a query on the same database."""

    def run(text: str) -> list[Any]:
        with psycopg.connect(empty_dsn) as conn:
            return conn.execute(text.encode()).fetchall()

    return run


def chunks(data: bytes, size: int = 100_000) -> list[bytes]:
    """The data in chunks of one size."""
    return [data[i : i + size] for i in range(0, len(data), size)]


async def test_a_file_is_staged_and_counted(pool: Pool, query: Query) -> None:
    data = b"id;name\n1;a\n2;b;c\n3;\n\n4;\xff\n5;e\n"
    upload = Upload(pool, format_name="csv", options={"trim": True}, file_name="x.csv")
    totals = await upload.receive(stream([data]))
    assert (totals.records, totals.malformed, totals.bytes, totals.lines) == (5, 2, len(data), 7)
    assert query("select n, c1, c2, malformed, line_no from sluice.stage order by n") == [
        (1, "1", "a", None, 2),
        (2, None, None, "2;b;c", 3),
        (3, "3", None, None, 4),
        (4, None, None, "4;\\xff", 6),
        (5, "5", "e", None, 7),
    ]
    assert query("select format, header, options, file_name from sluice.job") == [
        ("csv", ["id", "name"], {"trim": True, "delimiter": ";"}, "x.csv")
    ]
    assert query("select job_id::text, records, bytes from sluice.segment") == [
        (upload.job_id, 5, len(data))
    ]


@pytest.mark.parametrize("name", ["ndjson", "json"])
async def test_json_is_staged(pool: Pool, query: Query, name: Any) -> None:
    upload = Upload(pool, format_name=name)
    totals = await upload.receive(stream([b'{"a": 1}\n{"a"', b": 2}\n"]))
    assert (totals.records, totals.lines) == (2, 2)
    assert query("select line from sluice.stage") == [('{"a": 1}',), ('{"a": 2}',)]
    assert query("select lines from sluice.segment") == [([[1, 1]],)]


async def test_segments_are_committed_one_by_one_in_file_order(pool: Pool, query: Query) -> None:
    bad = BODY.replace(b"\n777,", b"\n777,x,").replace(b"\n150000,", b"\n150000,x,")
    upload = Upload(pool, format_name="csv", segment_bytes=1_000_000)
    totals = await upload.receive(stream(chunks(b"id,name\n" + bad)))
    assert (totals.records, totals.malformed, totals.lines) == (200_000, 2, 200_001)
    segments = query("select records, bytes, lines, xid from sluice.segment order by started")
    assert len(segments) > 1
    assert sum(row[0] for row in segments) == 200_000
    assert sum(row[1] for row in segments) == len(bad) + 8
    assert query(
        "select count(*) from sluice.stage where c1 = (n - 1)::text or malformed is not null"
    ) == [(200_000,)]
    assert query(
        "select count(distinct t.xid), bool_and(s.xid is not null) from sluice.stage as t "
        "left join sluice.segment as s on s.xid = t.xid"
    ) == [(len(segments), True)]
    # Every record without a line of its own finds it by the breakpoints.
    breaks = [pair for row in segments for pair in row[2]]
    assert all(line - n == 1 for n, line in breaks)


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
    assert totals.records == query("select count(*) from sluice.stage")[0][0]
    assert len(query("select from sluice.segment")) >= 3


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
        yield b"id,name\n"
        await asyncio.sleep(1)
        yield b"1,a\n"

    upload = Upload(pool, format_name="csv", segment_seconds=0.3, beat=beat)
    assert (await upload.receive(quiet())).records == 1
    assert query("select beats >= 2 from sluice.job") == [(True,)]
    assert beats >= 4


async def test_a_header_alone_has_no_records(pool: Pool, query: Query) -> None:
    totals = await Upload(pool, format_name="csv").receive(stream([b"id,name"]))
    assert totals.records == 0
    assert query("select count(*) from sluice.stage") == [(0,)]


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
    assert query("select count(*), to_regclass('sluice.stage') is null from sluice.job") == [
        (0, True)
    ]


async def test_a_client_that_goes_away_leaves_nothing(pool: Pool, query: Query) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for chunk in chunks(b"id,name\n" + BODY):
            yield chunk
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await Upload(pool, format_name="csv", segment_bytes=1_000_000).receive(broken())
    assert query("select count(*) from sluice.job") == [(0,)]


async def test_a_cancelled_upload_leaves_nothing(pool: Pool, query: Query) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"id,name\n"
        while True:
            yield BODY[:1_000_000]
            await asyncio.sleep(0.01)

    upload = Upload(pool, format_name="csv", segment_bytes=2_000_000)
    task = asyncio.create_task(upload.receive(endless()))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert query("select count(*) from sluice.job") == [(0,)]
    assert query("select count(*) from pg_stat_activity where state like 'idle in%'") == [(0,)]


async def test_an_error_of_the_server_is_raised_and_leaves_nothing(
    pool: Pool, query: Query, empty_dsn: str
) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("alter table sluice.segment add check (records < 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        await Upload(pool, format_name="csv").receive(stream([b"id,name\n1,a\n"]))
    assert query("select count(*) from sluice.job") == [(0,)]
