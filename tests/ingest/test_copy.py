"""COPY in fails early, COPY out is streamed and stops with its reader."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import psycopg
import pytest

from pgsluice.copy import Outgoing, copy_in, copy_out, stream_out
from pgsluice.database import Connection, Pool, new_pool

from .streams import collect, stream

NUMBERS = b"".join(b"%d\n" % i for i in range(1, 100_001))


@pytest.fixture
async def pool(ingest_dsn: str) -> AsyncIterator[Pool]:
    """A pool on the tests' own database."""
    async with new_pool(ingest_dsn, size=2, name="copy") as opened:
        async with opened.connection() as conn:
            await conn.execute(
                "drop table if exists public.numbers; create table public.numbers (n integer)"
            )
        yield opened


async def count(conn: Connection) -> Any:
    """How many numbers are stored."""
    return await (await conn.execute("select count(*) from public.numbers")).fetchone()


async def test_what_is_copied_in_comes_out(pool: Pool) -> None:
    async with pool.connection() as conn:
        assert await copy_in(conn, "copy public.numbers from stdin", stream([NUMBERS])) == 100_000
        blocks = [block async for block in copy_out(conn, "copy public.numbers to stdout", 10_000)]
    assert b"".join(blocks) == NUMBERS
    assert max(map(len, blocks)) < 11_000


async def test_a_bad_row_is_reported_before_all_is_sent(pool: Pool) -> None:
    sent = 0

    async def rows() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"x\n"
        for _ in range(1000):
            sent += len(NUMBERS)
            yield NUMBERS

    async with pool.connection() as conn:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await copy_in(conn, "copy public.numbers from stdin", rows())
        assert sent < 100 * len(NUMBERS)
        assert await count(conn) == (0,)


async def test_notices_do_not_stop_a_copy(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.execute(
            "create or replace function public.talk() returns trigger language plpgsql as "
            "$$ begin raise notice 'row %', new.n; return new; end $$; "
            "create trigger talk before insert on public.numbers for each row "
            "execute function public.talk()"
        )
        lines = NUMBERS[:5000].rpartition(b"\n")[0].split(b"\n")
        sent = stream([line + b"\n" for line in lines])
        assert await copy_in(conn, "copy public.numbers from stdin", sent) == len(lines)


async def failing() -> AsyncIterator[bytes]:
    """Numbers, then an error."""
    yield NUMBERS
    raise KeyError


async def test_an_error_of_the_source_stores_nothing(pool: Pool) -> None:
    async with pool.connection() as conn:
        with pytest.raises(KeyError):
            await copy_in(conn, "copy public.numbers from stdin", failing())
        assert await count(conn) == (0,)


async def test_a_stream_has_its_prefix_and_suffix(pool: Pool) -> None:
    async def start(conn: Connection) -> Outgoing:
        return Outgoing("copy (select 1 where false) to stdout", "[", "]")

    assert await collect(stream_out(pool, start)) == b"[]"


async def test_an_error_before_the_first_byte_is_raised_before_anything(pool: Pool) -> None:
    async def start(conn: Connection) -> Outgoing:
        return Outgoing("copy (select 1 / 0) to stdout", "[", "]")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await anext(stream_out(pool, start))


async def test_an_error_behind_the_first_byte_is_raised(pool: Pool) -> None:
    async def start(conn: Connection) -> Outgoing:
        return Outgoing(
            "copy (select 1 / (300000 - i) from generate_series(1, 300000) as i) to stdout"
        )

    blocks = stream_out(pool, start)
    assert await anext(blocks)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await collect(blocks)


async def test_a_reader_that_leaves_cancels_the_statement(pool: Pool) -> None:
    async def start(conn: Connection) -> Outgoing:
        return Outgoing("copy (select generate_series(1, 1000000000)) to stdout")

    async with aclosing(stream_out(pool, start)) as blocks:
        await anext(blocks)
        left = time.perf_counter()
    assert time.perf_counter() - left < 20
    async with pool.connection() as conn:
        active = await conn.execute(
            "select count(*) from pg_stat_activity where query like 'copy (select generate%' "
            "and state = 'active'"
        )
        assert await active.fetchone() == (0,)
