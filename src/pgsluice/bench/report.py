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
        "postgres": place.server,
        "cases": [_case(result) for result in results],
        "notes": {one.name: one.note for one in contenders if one.note},
        "absent": dict(absent),
    }


def _case(result: Result) -> dict[str, Any]:
    case = result.case
    yardstick = SCRIPT if case.is_import else PSQL
    measured = result.figures.get(yardstick, [])
    base = median(one.seconds for one in measured) if measured else None
    return {
        "set": case.set.name,
        "kind": case.kind,
        "rows": case.files.rows,
        "yardstick": yardstick,
        "by": {name: _costs(figures, base) for name, figures in result.figures.items()},
        "failed": result.failed,
    }


def _costs(figures: Sequence[Figures], base: float | None) -> dict[str, Any]:
    seconds = [one.seconds for one in figures]
    middle = median(seconds)
    return {
        "seconds": round(middle, 3),
        "least": round(min(seconds), 3),
        "most": round(max(seconds), 3),
        "all": [round(one, 3) for one in seconds],
        "ratio": round(middle / base, 3) if base else None,
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
        f"median of {report['runs']} runs in turn; x: time as a part of the yardstick's"
    )
    print(", ".join(f"{name} {value}" for name, value in server.items()))
    for case in report["cases"]:
        _show_case(case)
    print()
    for name, note in {**report["notes"], **report["absent"]}.items():
        print(f"{name}: {note}")


def _show_case(case: Mapping[str, Any]) -> None:
    print(f"\n{case['set']}, {case['rows']:,} records, {case['kind']} (x of {case['yardstick']})")
    heads = ("seconds", "from..to", "x", "rows/s", "CPU", "CPU PG", "WAL MB", "MB", "PG MB")
    print(f"  {'':22}" + "".join(f"{head:>{_width(head)}}" for head in heads))
    order = sorted(case["by"].items(), key=lambda item: (item[0] != OURS, item[1]["seconds"]))
    for name, costs in order:
        cells = (
            f"{costs['seconds']:.2f}",
            f"{costs['least']:.2f}..{costs['most']:.2f}",
            "" if costs["ratio"] is None else f"{costs['ratio']:.2f}",
            f"{case['rows'] / costs['seconds']:,.0f}",
            f"{costs['cpu']:.1f}",
            *(
                _number(costs[key])
                for key in ("cpu_postgres", "wal_mb", "memory_mb", "backends_mb")
            ),
        )
        line = (f"{c:>{_width(h)}}" for h, c in zip(heads, cells, strict=True))
        print(f"  {name:22}" + "".join(line))
    for name, why in case["failed"].items():
        print(f"  {name:22}  failed: {why.splitlines()[-1][:120]}")


def _width(head: str) -> int:
    return {"from..to": 16, "rows/s": 11, "seconds": 9}.get(head, 8)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
