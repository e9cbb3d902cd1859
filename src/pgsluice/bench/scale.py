"""What grows: time per row with the size of the file, tables with the number of imports."""

import argparse
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from statistics import median
from typing import Any

from .contenders import OURS, own
from .meter import Meter
from .place import BenchError, Place
from .runs import Result, measure
from .service import Service, serving
from .sets import SETS, Files, write
from .small import at_once, in_turn, small_import

_CLIENTS, _ROUNDS = 8, 10
_SIZES = """
select c.oid::regclass || '=' || pg_total_relation_size(c.oid)
    || '=' || coalesce(pg_stat_get_dead_tuples(c.oid), 0)
from pg_class as c
where c.relkind = 'r' and c.relnamespace in (
    'pg_catalog'::regnamespace, 'sluice'::regnamespace, 'procrastinate'::regnamespace
)
"""


def run(place: Place, given: argparse.Namespace) -> dict[str, Any]:
    """Measure it all; the report."""
    with serving(place) as service:
        sizes = [
            result
            for rows in given.rows
            for result in measure(
                place, SETS["users"], rows, ("first", "again", "csv"), own(place, service)[:1],
                runs=given.runs, limit=given.limit,
            )
        ]  # fmt: skip
    return {
        "postgres": place.server,
        "per_row": _per_row(sizes),
        "imports": _after_imports(place, given.imports),
        "processes": [_several(place, processes, given.rows[0]) for processes in (1, 2, 1, 2)],
    }


def _per_row(results: Sequence[Result]) -> list[dict[str, Any]]:
    found = []
    for result in results:
        figures, rows = result.figures[OURS], result.case.files.rows
        memory = [one.memory for one in figures if one.memory]
        found.append({
            "kind": result.case.kind,
            "rows": rows,
            "us_per_row": round(1e6 * median(one.seconds for one in figures) / rows, 2),
            "memory_mb": round(max(memory) / 1e6, 1) if memory else None,
        })  # fmt: skip
    return found


def _after_imports(place: Place, imports: int) -> dict[str, Any]:
    """What tables have grown by after many small imports, and what autovacuum left in them."""
    with serving(place) as service:
        in_turn(partial(small_import, service), 10)
        place.ask("vacuum analyze", "checkpoint")
        before = _sizes(place)
        first = in_turn(partial(small_import, service), imports // 2).summary()
        second = in_turn(partial(small_import, service), imports - imports // 2).summary()
        time.sleep(5)  # stages are dropped, and statistics told
        after = _sizes(place)
        left = int(place.ask(
            "select count(*) from pg_class where relnamespace = 'sluice_stage'::regnamespace"
        ))  # fmt: skip
    grown = {
        name: {"kb": (size - before.get(name, (0, 0))[0]) // 1024, "dead_rows": dead}
        for name, (size, dead) in after.items()
    }
    biggest = sorted(
        (item for item in grown.items() if item[1]["kb"] > 0), key=lambda item: -item[1]["kb"]
    )[:12]
    return {
        "imports": imports,
        "stages_left": left,
        "first_half": first,
        "second_half": second,
        "catalog_kb": sum(g["kb"] for name, g in grown.items() if name.startswith("pg_")),
        "grown": dict(biggest),
    }


def _sizes(place: Place) -> dict[str, tuple[int, int]]:
    lines = place.ask(_SIZES).splitlines()
    split = (line.split("=") for line in lines)
    return {name: (int(size), int(dead)) for name, size, dead in split}


def _several(place: Place, processes: int, rows: int) -> dict[str, Any]:
    """What so many processes of API and worker do a second, and what they need for it."""
    place.ask("truncate app.users cascade", "vacuum analyze", "checkpoint")
    files = write(SETS["users"], place.folder, rows)
    found: dict[str, Any] = {"processes": processes}
    try:
        with ExitStack() as stack:
            services = [stack.enter_context(serving(place)) for _ in range(processes)]
            for service in services:
                small_import(service)
            found["small_imports"] = _busy(place, services, partial(_imports, services))
            services[0].upload("users", "csv", files.sent)
            there = int(place.ask("select count(*) from app.users"))
            found["exported_rows"] = _busy(place, services, partial(_exports, services, there))
        with ExitStack() as stack:
            # nobody takes on what is uploaded
            services = [
                stack.enter_context(serving(place, "--no-worker")) for _ in range(processes)
            ]
            found["uploaded_rows"] = _busy(place, services, partial(_uploads, services, files))
    finally:
        files.sent.unlink()
        files.clean.unlink()
    place.ask("select sluice.cancel_job(j.job_id) from sluice.job as j where j.state = 'pending'")
    return found


def _busy(place: Place, services: Sequence[Service], work: Callable[[], int]) -> dict[str, Any]:
    """What was done a second, and the part of all cores that it took."""
    with Meter(place, math.inf) as meter:
        for service in services:
            meter.watch(service.pid)
        done = work()
        for service in services:
            meter.release(service.pid)
    figures = meter.figures
    if figures is None:
        raise BenchError("nothing was measured")
    full = figures.seconds * (os.cpu_count() or 1)
    postgres = figures.cpu_postgres
    return {
        "per_second": round(done / figures.seconds, 1),
        "service": round(figures.cpu / full, 2),
        "postgres": None if postgres is None else round(postgres / full, 2),
    }


def _imports(services: Sequence[Service]) -> int:
    turn = cycle(services)
    for _ in range(_ROUNDS):
        waits = at_once(lambda: small_import(next(turn)), _CLIENTS * 2)
        if waits.lost:
            raise BenchError(f"{waits.lost} small imports were lost")
    return _ROUNDS * _CLIENTS * 2


def _exports(services: Sequence[Service], rows: int) -> int:
    with ThreadPoolExecutor(_CLIENTS) as pool:
        begun = [
            pool.submit(services[n % len(services)].download, "users", "csv")
            for n in range(_CLIENTS)
        ]
        for one in begun:
            one.result()
    return rows * _CLIENTS


def _uploads(services: Sequence[Service], files: Files) -> int:
    with ThreadPoolExecutor(_CLIENTS) as pool:
        begun = [
            pool.submit(services[n % len(services)].send, "users", "csv", files.sent)
            for n in range(_CLIENTS)
        ]
        for one in begun:
            one.result()
    return files.rows * _CLIENTS


def show(report: Mapping[str, Any]) -> None:
    """Print what grows with what."""
    print(f"Postgres {report['postgres']['version']}")
    print("users: microseconds a row, and memory of the service")
    for one in report["per_row"]:
        print(
            f"  {one['kind']:8}{one['rows']:>12,} {one['us_per_row']:8.2f} µs {one['memory_mb']} MB"
        )
    after = report["imports"]
    halves = " and ".join(str(after[half].get("p50_ms")) for half in ("first_half", "second_half"))
    print(
        f"after {after['imports']:,} imports of 100 rows, one after another: "
        f"{after['stages_left']} relations of stages left, catalog grown by "
        f"{after['catalog_kb']:,} kB; p50 of their first and second half {halves} ms"
    )
    for name, grown in after["grown"].items():
        print(f"  {name:40}{grown['kb']:>9,} kB {grown['dead_rows']:>9,} dead rows")
    print("processes, each API and worker: a second, and the part of all cores that they and")
    print("Postgres took for it; the rest is the client's, or idle")
    for one in report["processes"]:
        print(f"  {one['processes']}")
        for what in ("small_imports", "uploaded_rows", "exported_rows"):
            busy = one[what]
            postgres = "" if busy["postgres"] is None else f", Postgres {busy['postgres']:.0%}"
            told = f"service {busy['service']:.0%}{postgres}"
            print(f"    {what.replace('_', ' '):16}{busy['per_second']:12,.1f}   {told}")
