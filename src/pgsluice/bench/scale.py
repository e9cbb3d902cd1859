"""What grows: time per row with the size of the file, tables with the number of imports."""

import argparse
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

from .contenders import OURS, own
from .place import Place
from .runs import Result, measure
from .service import Service, serving
from .sets import SETS, write
from .small import at_once, in_turn, small_import

_IMPORTS, _CLIENTS = 1000, 8
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
    """Small imports and exports a second through so many processes of API and worker."""
    place.ask("truncate app.users cascade", "vacuum analyze", "checkpoint")
    with ExitStack() as stack:
        services = [stack.enter_context(serving(place)) for _ in range(processes)]
        for service in services:
            small_import(service)
        began = time.perf_counter()
        rounds = 10
        for _ in range(rounds):
            at_once(_spread(services), _CLIENTS * 2)
        imports = rounds * _CLIENTS * 2 / (time.perf_counter() - began)
        return {
            "processes": processes,
            "small_imports_per_second": round(imports, 1),
            "exported_rows_per_second": _exports(place, services, rows),
        }


def _spread(services: Sequence[Service]) -> Any:
    """A small import through one service after the other."""
    turn = iter(range(1 << 30))

    def work() -> bool:
        return small_import(services[next(turn) % len(services)])

    return work


def _exports(place: Place, services: Sequence[Service], rows: int) -> int:
    files = write(SETS["users"], place.folder, rows)
    services[0].upload("users", "csv", files.sent)
    for file in (files.sent, files.clean):
        file.unlink()
    there = int(place.ask("select count(*) from app.users"))
    began = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for n in range(_CLIENTS):
            pool.submit(services[n % len(services)].download, "users", "csv")
    return round(there * _CLIENTS / (time.perf_counter() - began))


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
    print("processes of API and worker: small imports a second, exported rows a second")
    for one in report["processes"]:
        print(
            f"  {one['processes']} {one['small_imports_per_second']:10.1f}"
            f"{one['exported_rows_per_second']:>14,}"
        )
