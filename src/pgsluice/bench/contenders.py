"""Those that are measured: this service, the expert's script, and bare COPY."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .meter import Meter
from .place import BenchError, Place
from .service import Service
from .sets import Files, Set

IMPORTS = ("first", "again", "changed")
EXPORTS = ("csv", "ndjson", "json", "csv.gz")
OURS, SCRIPT, FLOOR, PSQL = "pgsluice", "psql script", "bare \\copy", "psql"


@dataclass(frozen=True)
class Case:
    """One thing to do: a set of records, and first, again or changed, or a format to export."""

    set: Set
    kind: str
    files: Files

    @property
    def is_import(self) -> bool:
        return self.kind in IMPORTS


@dataclass(frozen=True)
class Contender:
    """A way to do some of the cases; `note` tells what it does not do."""

    name: str
    does: Callable[[Case], bool]
    work: Callable[[Meter, Case], None]
    note: str = ""
    own_table: bool = False  # it makes one in the schema bench_dlt, of the set's name

    def table(self, one: Set) -> str:
        """Where its rows are afterwards."""
        return f"bench_dlt.{one.name}" if self.own_table else one.table


def own(place: Place, service: Service) -> list[Contender]:
    """Ours and what psql brings, which are always there."""

    def upload_or_download(meter: Meter, case: Case) -> None:
        meter.watch(service.pid)
        if case.is_import:
            job = service.upload(case.set.name, case.set.form, case.files.sent)
            rejected = job["counts"]["rejected"]
            if rejected != case.files.rows - case.files.good:
                raise BenchError(f"the import rejected {rejected} records")
        else:
            form, _, is_packed = case.kind.partition(".")
            to = place.folder / "export.gz" if is_packed else None
            lines = service.download(case.set.name, form, to)
            expect(case, (_lines_in(to) if to else lines) - (form == "csv"))
        meter.release(service.pid)

    def script(meter: Meter, case: Case) -> None:
        written = place.folder / f"{case.set.name}.sql"
        meter.run(place.command("-f", str(written)), stdin=case.files.sent)

    def floor(meter: Meter, case: Case) -> None:
        meter.run(place.command("-c", copy_in(case.set, case.files.clean)))

    def psql(meter: Meter, case: Case) -> None:
        to = place.folder / "export.gz" if case.kind == "csv.gz" else None
        told = meter.run(place.command("-c", _copy_out(case, to), quiet=False))
        if to:
            expect(case, _lines_in(to) - 1)
        else:
            # json has its closing bracket on a line of its own
            expect(case, int(told.split()[-1]) - (case.kind == "json"))

    return [
        Contender(OURS, lambda _case: True, upload_or_download),
        Contender(
            SCRIPT,
            lambda case: case.is_import,
            script,
            "drops bad records without a word: no verdicts, no rejects to mend",
        ),
        Contender(
            FLOOR,
            lambda case: case.kind == "first",
            floor,
            "the cleaned file, as CSV: one bad record would end it, and it cannot update",
        ),
        Contender(PSQL, lambda case: not case.is_import, psql, "\\copy to /dev/null or into gzip"),
    ]


def copy_in(one: Set, clean: Path, table: str | None = None) -> str:
    """The \\copy of a cleaned file into the table of a set, or into another one like it."""
    return f"\\copy {table or one.table} ({one.listed}) from '{clean}' with (format csv, header)"


def _copy_out(case: Case, to: Path | None) -> str:
    table = case.set.table
    if to:
        # the level that the service compresses at
        return f"\\copy {table} to program 'gzip -3 > {to}' with (format csv, header)"
    if case.kind == "csv":
        return f"\\copy {table} to '/dev/null' with (format csv, header)"
    bytes_as_they_are = "with (format csv, quote e'\\x01', delimiter e'\\x02')"
    lines = f"select row_to_json(r) from {table} as r"
    if case.kind == "json":
        lines = (
            "select case when row_number() over () = 1 then '[' else ',' end || row_to_json(r) "
            f"from {table} as r union all select ']'"
        )
    return f"\\copy ({lines}) to '/dev/null' {bytes_as_they_are}"


def expect(case: Case, rows: int) -> None:
    """That an export was whole."""
    if rows != case.files.good:
        raise BenchError(f"the export has {rows} rows instead of {case.files.good}")


def _lines_in(packed: Path) -> int:
    with gzip.open(packed) as file:
        ends = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    packed.unlink()
    return ends
