"""The runs: every contender in turn from the same state of the table, which is looked at after."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .contenders import FLOOR, OURS, PSQL, SCRIPT, Case, Contender, copy_in
from .cores import work_at_once
from .meter import Figures, Meter
from .place import BenchError, Place, TooSlowError
from .sets import Files, Set, write

# A new cluster makes its files of WAL in its first loads; later ones write over them. A gigabyte of
# them stays (min_wal_size), of which a million users fill a third.
_WARM_UPS = 4
_EXPECTED = "public.bench_expected"


@dataclass
class Result:
    """What one case cost each contender, run by run; and why one has no (more) figures."""

    case: Case
    figures: dict[str, list[Figures]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)  # the seconds that it was given
    cores: list[float] = field(default_factory=list)  # before each run, see `work_at_once`

    @property
    def out(self) -> set[str]:
        """Those that are not run any more."""
        return {*self.failed, *self.over}


def measure(
    place: Place,
    one: Set,
    rows: int,
    kinds: Sequence[str],
    contenders: Sequence[Contender],
    *,
    runs: int,
    limit: float,
) -> list[Result]:
    """Every kind of case with every contender that does it, `runs` times over, in turn."""
    (place.folder / f"{one.name}.sql").write_text(one.script)
    table = _Table(place, one, write(one, place.folder, rows))
    changed = write(one, place.folder, rows, changed=True) if "changed" in kinds else table.files
    results = [
        Result(Case(one, kind, changed if kind == "changed" else table.files)) for kind in kinds
    ]
    for _ in range(_WARM_UPS):
        table.restore(is_loaded=True)
    for run in range(runs):
        for result in results:
            result.cores.append(work_at_once())
            for contender in contenders if run % 2 == 0 else reversed(contenders):
                if contender.does(result.case) and contender.name not in result.out:
                    _one_run(table, result, contender, limit)
    for file in {table.files, changed}:
        file.sent.unlink()
        file.clean.unlink()
    return results


def _one_run(table: "_Table", result: Result, contender: Contender, limit: float) -> None:
    case, name = result.case, contender.name
    told = f"{case.set.name} {case.files.rows} {case.kind}: {name}"
    table.restore(is_loaded=case.kind != "first")
    try:
        if contender.own_table:
            table.restore_own(contender, case, limit)
        with Meter(table.place, limit) as meter:
            contender.work(meter, case)
        table.check(case.files, contender.table(case.set))
    except BenchError as exc:
        if name in (OURS, SCRIPT, FLOOR, PSQL):
            raise
        if isinstance(exc, TooSlowError):
            result.over[name] = limit
            told = f"{told} > {limit:g} s"
        else:
            result.failed[name] = str(exc)
            told = f"{told} failed: {str(exc).splitlines()[-1]}"
    else:
        if meter.figures:
            result.figures.setdefault(name, []).append(meter.figures)
            told = f"{told} {meter.figures.seconds:.2f} s"
    print(told, file=sys.stderr, flush=True)


class _Table:
    """The table of a set, with its states and what it must hold."""

    def __init__(self, place: Place, one: Set, files: Files) -> None:
        self.place, self.one, self.files = place, one, files
        self._expected: dict[Files, str] = {}

    def restore(self, *, is_loaded: bool) -> None:
        """Empty, or with the good records; with statistics, and nothing left to write."""
        table = self.one.table
        load = [copy_in(self.one, self.files.clean)] if is_loaded else []
        self.place.ask(*self.one.prepare, *load, f"vacuum (analyze) {table}", "checkpoint")

    def restore_own(self, contender: Contender, case: Case, limit: float) -> None:
        """The same for one that makes its table itself: by its own first load."""
        self.place.ask("drop schema if exists bench_dlt, bench_dlt_staging cascade")
        if case.kind != "first":
            contender.work(Meter(self.place, limit), replace(case, kind="first", files=self.files))
            self.place.ask(f"vacuum (analyze) {contender.table(self.one)}", "checkpoint")

    def check(self, files: Files, table: str) -> None:
        """That the table holds just the good records of these files."""
        if files not in self._expected:
            self._expected[files] = self._sum_of(files)
        found = self.place.ask(self._sum(table))
        if found != self._expected[files]:
            raise BenchError(
                f"{table} holds other rows than it must: {found} instead of "
                f"{self._expected[files]} (rows|checksum)"
            )

    def _sum_of(self, files: Files) -> str:
        return self.place.ask(
            f"create unlogged table {_EXPECTED} (like {self.one.table} including defaults)",
            copy_in(self.one, files.clean, _EXPECTED),
            self._sum(_EXPECTED),
            f"drop table {_EXPECTED}",
        )

    def _sum(self, table: str) -> str:
        return (
            f"select count(*), sum(hashtextextended(row({self.one.listed})::text, 0)) from {table}"
        )
