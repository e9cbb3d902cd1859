"""What was measured: as JSON, and as tables."""

import os
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .contenders import OURS, PSQL, SCRIPT, Contender
from .meter import Figures
from .place import Place
from .runs import Result

_MB = 1e6


def summary(
    place: Place,
    results: Sequence[Result],
    contenders: Sequence[Contender],
    absent: Mapping[str, str],
    runs: int,
) -> dict[str, Any]:
    """All of it, for JSON: medians of `runs`, with the yardstick of each case and ratios to it."""
    return {
        "runs": runs,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "postgres": place.server,
        "cases": [_case(result) for result in results],
        "notes": {one.name: one.note for one in contenders if one.note},
        "absent": dict(absent),
    }


def _case(result: Result) -> dict[str, Any]:
    case = result.case
    yardstick = SCRIPT if case.is_import else PSQL
    measured = result.figures.get(yardstick, [])
    base = [one.seconds for one in measured]
    return {
        "set": case.set.name,
        "kind": case.kind,
        "rows": case.files.rows,
        "yardstick": yardstick,
        "cores": [round(one, 2) for one in result.cores],
        "by": {name: _costs(figures, base) for name, figures in result.figures.items()},
        "failed": result.failed,
        "over_limit": result.over,
    }


def _costs(figures: Sequence[Figures], base: Sequence[float]) -> dict[str, Any]:
    seconds = [one.seconds for one in figures]
    # run by run: what slows the machine for a while slows both
    ratios = [own / theirs for own, theirs in zip(seconds, base, strict=False)]
    return {
        "seconds": round(median(seconds), 3),
        "least": round(min(seconds), 3),
        "most": round(max(seconds), 3),
        "all": [round(one, 3) for one in seconds],
        "ratio": round(median(ratios), 3) if ratios else None,
        "ratio_least": round(min(ratios), 3) if ratios else None,
        "ratio_most": round(max(ratios), 3) if ratios else None,
        "cpu": round(median(one.cpu for one in figures), 2),
        "cpu_postgres": _middle([one.cpu_postgres for one in figures]),
        "wal_mb": round(median(one.wal_bytes for one in figures) / _MB, 1),
        "memory_mb": _middle([one.memory for one in figures], _MB),
        "backends_mb": _middle([one.backends for one in figures], _MB),
    }


def _middle(values: Sequence[float | None], unit: float = 1) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known) / unit, 2) if known else None


def show(report: Mapping[str, Any]) -> None:
    """Print a table for each case, what it ran on, and what to know of each contender."""
    server = dict(report["postgres"])
    print(
        f"Postgres {server.pop('version')}, {report['cores']} cores, "
        f"median of {report['runs']} runs in turn, load at the end {report['load']}; "
        "x: time as a part of the yardstick's in the same run"
    )
    print(", ".join(f"{name} {value}" for name, value in server.items()))
    for case in report["cases"]:
        _show_case(case)
    print()
    for name, note in {**report["notes"], **report["absent"]}.items():
        print(f"{name}: {note}")


def _show_case(case: Mapping[str, Any]) -> None:
    cores = case["cores"]
    print(
        f"\n{case['set']}, {case['rows']:,} records, {case['kind']} (x of {case['yardstick']}); "
        f"all cores at once did {median(cores):.2f} ({min(cores):.2f} to {max(cores):.2f}) "
        "times the work of one"
    )
    heads = (
        "seconds", "from..to", "x", "x from..to", "rows/s",
        "CPU", "CPU PG", "WAL MB", "MB", "PG MB",
    )  # fmt: skip
    print(f"  {'':22}" + "".join(f"{head:>{_width(head)}}" for head in heads))
    order = sorted(case["by"].items(), key=lambda item: (item[0] != OURS, item[1]["seconds"]))
    for name, costs in order:
        cells = (
            f"{costs['seconds']:.2f}",
            f"{costs['least']:.2f}..{costs['most']:.2f}",
            *_ratios(costs),
            f"{case['rows'] / costs['seconds']:,.0f}",
            f"{costs['cpu']:.1f}",
            *(
                _number(costs[key])
                for key in ("cpu_postgres", "wal_mb", "memory_mb", "backends_mb")
            ),
        )
        line = (f"{c:>{_width(h)}}" for h, c in zip(heads, cells, strict=True))
        print(f"  {name:22}" + "".join(line))
    for name, limit in case["over_limit"].items():
        print(f"  {name:22}  > {limit:g} s: it was ended, and not run again")
    for name, why in case["failed"].items():
        print(f"  {name:22}  failed: {why.splitlines()[-1][:120]}")


def _ratios(costs: Mapping[str, Any]) -> tuple[str, str]:
    if costs["ratio"] is None:
        return "", ""
    return f"{costs['ratio']:.2f}", f"{costs['ratio_least']:.2f}..{costs['ratio_most']:.2f}"


def _width(head: str) -> int:
    return {"from..to": 16, "x from..to": 16, "rows/s": 11, "seconds": 9}.get(head, 8)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
