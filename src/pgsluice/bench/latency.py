"""How long small things wait: alone, at once, beside a large import, a queue and a long history."""

import argparse
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from . import wide
from .place import BenchError, Place
from .service import Service, serving
from .sets import SETS, write
from .small import Waits, at_once, beside, bulk_call, in_turn, small_import, timed

_TIMES, _CLIENTS, _WAITING = 50, 64, 1000


def run(place: Place, given: argparse.Namespace) -> dict[str, Any]:
    """Measure it all; the report: by what was done, how many, lost, and milliseconds."""
    place.ask(wide.definition())
    found: dict[str, Waits] = {}
    with serving(place) as service:
        small, bulk = partial(small_import, service), partial(bulk_call, service)
        small()
        bulk()
        place.ask("checkpoint")
        found["import of 100, one after another"] = in_turn(small, _TIMES)
        found[f"import of 100, {_CLIENTS} at once"] = at_once(small, _CLIENTS)
        found["users/bulk of 100"] = in_turn(bulk, _TIMES)
        for rows in given.rows:
            found |= _beside_import(place, service, rows)
        with _waiting(place, service):
            told = f"import of 100, {_WAITING:,} imports of another table wait"
            found[told] = in_turn(small, _TIMES)
    for jobs in given.history:
        _old_jobs(place, jobs)
        with serving(place) as service:
            small_import(service)
            told = f"import of 100, {jobs:,} old jobs"
            found[told] = in_turn(partial(small_import, service), _TIMES)
    _expect_users(place, found)
    return {
        "postgres": place.server,
        "waits": {told: waits.summary() for told, waits in found.items()},
    }


def _beside_import(place: Place, service: Service, rows: int) -> dict[str, Waits]:
    """Both kinds of small things, in turn, for as long as a large import of users lasts."""
    files = write(SETS["users"], place.folder, rows)
    bulk, small = Waits(), Waits()
    with beside(lambda: service.upload("users", "csv", files.sent)) as goes_on:
        while goes_on():
            timed(partial(bulk_call, service), bulk)
    place.ask("delete from app.users where email like 'user%'", "vacuum analyze app.users")
    with beside(lambda: service.upload("users", "csv", files.sent)) as goes_on:
        while goes_on():
            timed(partial(small_import, service, more="&priority=interactive"), small)
    for file in (files.sent, files.clean):
        file.unlink()
    return {
        f"users/bulk of 100 beside an import of {rows:,}": bulk,
        f"interactive import of 100 beside an import of {rows:,}": small,
    }


@contextmanager
def _waiting(place: Place, service: Service) -> Iterator[None]:
    """A thousand imports that wait for their turn, behind one whose table somebody locks."""
    files = write(SETS["wide"], place.folder, 100)
    text = f"begin; lock table {wide.TABLE} in share mode; select pg_sleep(3600)"
    with subprocess.Popen(
        place.command("-c", text), env=place.environ, stdout=subprocess.DEVNULL
    ) as locker:
        try:
            body = files.sent.read_bytes()
            headers = {"Content-Type": "text/csv"}
            for _ in range(_WAITING):
                service.call("POST", "/v1/imports?resource=wide", body, headers)
            yield
        finally:
            locker.kill()


def _old_jobs(place: Place, jobs: int) -> None:
    """Fill the history up to so many."""
    there = int(place.ask("select count(*) from sluice.job where accepted < 0"))
    place.ask(
        "insert into sluice.job (job_id, resource, format, shape, state, outcome, accepted, "
        "received, inserted, created_at, started_at, completed_at, expires_at, swept) "
        "select gen_random_uuid(), 'users', 'csv', 'cells', 'completed', 'clean', -n, 100, 100, "
        "t.at, t.at, t.at, now() + interval '30 days', true "
        f"from generate_series({there + 1}, {jobs}) as n, "
        "lateral (select now() - n * interval '1 second') as t (at)",
        "vacuum analyze sluice.job",
        "checkpoint",
    )


def _expect_users(place: Place, found: Mapping[str, Waits]) -> None:
    """That every import that was told to be complete is in the table."""
    done = sum(len(waits.seconds) for told, waits in found.items() if "users/bulk" not in told)
    there = int(place.ask("select count(*) from app.users where email like 'small%'"))
    if there < done * 100:
        raise BenchError(f"{done} imports of 100 were complete, but {there} rows are there")


def show(report: Mapping[str, Any]) -> None:
    """Print a line for each."""
    server = dict(report["postgres"])
    print(f"Postgres {server.pop('version')}; milliseconds from request to end of the job")
    print(", ".join(f"{name} {value}" for name, value in server.items()))
    print(f"{'':60}{'requests':>9}{'lost':>6}{'p50':>9}{'p95':>9}{'most':>9}")
    for told, waits in report["waits"].items():
        times = "".join(f"{waits.get(key, 0):9.1f}" for key in ("p50_ms", "p95_ms", "most_ms"))
        print(f"{told:60}{waits['requests']:9}{waits['lost']:6}{times}")
