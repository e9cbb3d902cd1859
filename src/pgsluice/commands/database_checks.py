"""What `pgsluice doctor` sees of the database: from outside, then as SQL tells it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from datetime import datetime
from uuid import uuid4

import msgspec

from ..binaries import OLDEST
from ..database import Error, ask, listen, place_of
from ..errors import ProblemError
from ..migrate import MigrationError, pending_at, server_version
from .finding import Finding

_CHANNEL = "sluice"
_NEWS_SECONDS = 3.0
_SKEW_SECONDS = 2.0


def check_database(dsn: str, listen_url: str | None) -> Iterator[Finding]:
    """All there is to see; it ends where nothing further can be asked."""
    place = place_of(dsn)
    try:
        version = server_version(dsn)
    except MigrationError as exc:
        todo = "start it, or correct DATABASE_URL"
        yield Finding("database", "fail", f"no connection to {place}: {exc}", todo)
        return
    told = f"Postgres {version // 10000}.{version % 10000} at {place}"
    if version // 10000 < OLDEST:
        yield Finding("database", "fail", told, f"Postgres {OLDEST} or newer is needed")
        return
    yield Finding("database", "ok", told)
    if missing := pending_at(dsn):
        told = f"{len(missing)} migrations are missing, {missing[0]} first"
        yield Finding("schema", "fail", told, "run pgsluice migrate")
        return
    yield Finding("schema", "ok", "up to date")
    before = time.time()
    try:
        seen = ask(dsn, "doctor_json")
    except ProblemError as exc:
        todo = "log in as a member of sluice_service, or run pgsluice migrate again"
        yield Finding("rights", "fail", str(exc), todo)
        return
    yield from msgspec.convert(seen["findings"], list[Finding])
    yield _clock(seen["now"], before, time.time())
    yield _news(dsn, listen_url)


def check_replica(url: str, dsn: str) -> Iterator[Finding]:
    """What is to be said of the server that exports read."""
    try:
        place = ask(dsn, "source_place")
    except ProblemError:
        return  # of that there is a finding already
    try:
        yield from msgspec.convert(ask(url, "doctor_replica", place=place), list[Finding])
    except ProblemError as exc:
        todo = "start it, or correct SLUICE_EXPORT_DATABASE_URL; exports read the primary meanwhile"
        yield Finding("replica", "warn", str(exc), todo)


def _clock(told: str, before: float, after: float) -> Finding:
    """The two clocks, as well as the time that asking took lets one say."""
    server = datetime.fromisoformat(told).timestamp()
    ahead = max(server - after, before - server, 0.0)
    if ahead < _SKEW_SECONDS:
        return Finding("clock", "ok", "the server's and ours agree")
    which = "ahead of" if server > after else "behind"
    told = f"the server's clock is {ahead:.0f} s {which} ours"
    return Finding("clock", "warn", told, "have both set their clocks (NTP): times of jobs mislead")


def _news(dsn: str, listen_url: str | None) -> Finding:
    """Whether a word that is told in the database is heard over LISTEN."""
    todo = "let SLUICE_LISTEN_URL lead to Postgres itself, not to a pooler"
    try:
        heard = asyncio.run(_hears(listen_url or dsn, dsn))
    except (Error, ProblemError) as exc:
        return Finding("news", "fail", f"LISTEN does not work: {' '.join(str(exc).split())}", todo)
    if not heard:
        told = "what is told by NOTIFY is not heard: work begins late"
        return Finding("news", "warn", told, todo)
    return Finding("news", "ok", "LISTEN hears what NOTIFY tells")


async def _hears(listen_url: str, dsn: str) -> bool:
    word = f"doctor {uuid4().hex}"
    try:
        async with (
            asyncio.timeout(_NEWS_SECONDS),
            aclosing(listen(listen_url, _CHANNEL)) as words,
        ):
            async for said in words:
                if said is None:
                    await asyncio.to_thread(ask, dsn, "announce", p_news=word)
                elif said == word:
                    return True
    except TimeoutError:
        pass
    return False
