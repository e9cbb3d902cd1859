"""The peers: what each can do, what it does not, and where it is had."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..contenders import Case, Contender, expect
from ..meter import Meter
from ..place import Place
from .task import Task

BATCH = "INSERT by 1,000"
_LOADS = ("first", "again", "changed")
_CLEAN = "the cleaned file, as CSV"


@dataclass(frozen=True)
class Peer:
    """Another way to do it; `module` is our program for it, `needs` what that imports or runs."""

    name: str
    word: str  # on the command line
    kinds: tuple[str, ...]
    note: str
    needs: str
    install: str
    module: str = ""
    own_table: bool = False

    def is_there(self) -> bool:
        """Whether it can be run here."""
        if self.module:
            return importlib.util.find_spec(self.needs) is not None
        return _program(self.needs) is not None


PEERS = (
    Peer(
        BATCH, "batch", (*_LOADS, "csv", "ndjson", "json", "csv.gz"),
        f"rows as parameters of psycopg, a commit each 1,000, on conflict do update; {_CLEAN}: it "
        "judges nothing, and a bad record would end its batch; exports format row by row",
        "psycopg", "", "batch",
    ),
    Peer(
        "pgloader", "pgloader", ("first",),
        f"COPY in batches of 25,000, indexes kept; {_CLEAN}: records that fail end in a file "
        "without fields or codes; no upsert",
        "pgloader", "apt-get install pgloader",
    ),
    Peer(
        "django-import-export", "django", (*_LOADS, "csv", "json"),
        f"use_bulk, batch_size 1,000, skip_unchanged, CachedInstanceLoader; {_CLEAN}: constraints "
        "of the table are not judged, the first to fail rolls all back; holds the file in memory",
        "import_export", "pip install 'pgsluice[bench]'", "django_resource",
    ),
    Peer(
        "dlt", "dlt", _LOADS,
        f"Arrow, CSV files, COPY, merge by upsert; {_CLEAN}; into a table of its own making: no "
        "uuid, no index on it, no constraint judged",
        "dlt", "pip install 'pgsluice[bench]'", "dlt_merge", own_table=True,
    ),
    Peer(
        "pg-upsert", "pg-upsert", _LOADS,
        f"COPY to a staging table of the target's types, its checks, its merge; {_CLEAN}: a cell "
        "of a wrong type ends the COPY, a failed check the merge",
        "pg_upsert", "pip install 'pgsluice[bench]'", "upsert",
    ),
    Peer(
        "csvsql", "csvsql", ("first",),
        f"--insert --no-inference --chunk-size 10000; {_CLEAN}: one bad record ends it; no upsert",
        "csvsql", "pip install 'pgsluice[bench]'",
    ),
)  # fmt: skip
WORDS = tuple(peer.word for peer in PEERS)


def chosen(place: Place, words: list[str]) -> tuple[list[Contender], dict[str, str]]:
    """The peers of these words that are there, and what to do for the others."""
    wanted = [peer for peer in PEERS if peer.word in words]
    there = [_contender(place, peer) for peer in wanted if peer.is_there()]
    return there, {p.name: f"not installed: {p.install}" for p in wanted if not p.is_there()}


def _contender(place: Place, peer: Peer) -> Contender:
    work = _COMMANDS[peer.word](place) if peer.word in _COMMANDS else _module(place, peer)
    return Contender(
        peer.name, lambda case: case.kind in peer.kinds, work, peer.note, own_table=peer.own_table
    )


def _module(place: Place, peer: Peer) -> Callable[[Meter, Case], None]:
    def work(meter: Meter, case: Case) -> None:
        one = case.set
        to = place.folder / "export.gz" if case.kind == "csv.gz" else Path("/dev/null")
        file = case.files.clean if case.is_import else to
        table = f"bench_dlt.{one.name}" if peer.own_table else one.table
        columns = dict(zip(one.columns, one.types, strict=True))
        task = Task(case.kind, table, columns, one.key, str(file), place.url)
        program = f"pgsluice.bench.peers.{peer.module}"
        told = meter.run([sys.executable, "-m", program, msgspec.json.encode(task).decode()])
        if not case.is_import:
            expect(case, int(told.split()[-1]))

    return work


def _pgloader(place: Place) -> Callable[[Meter, Case], None]:
    def work(meter: Meter, case: Case) -> None:
        schema, _, name = case.set.table.partition(".")
        command = place.folder / "pgloader.load"
        command.write_text(
            f"LOAD CSV FROM '{case.files.clean}' ({case.set.listed})\n"
            f"INTO {place.url}\nTARGET TABLE {schema}.{name} ({case.set.listed})\n"
            "WITH skip header = 1, fields terminated by ',', fields optionally enclosed by '\"',\n"
            "workers = 4, concurrency = 2, batch rows = 25000, prefetch rows = 50000;\n"
        )
        meter.run(
            ["pgloader", "--quiet", "--root-dir", str(place.folder / "pgloader"), str(command)]
        )

    return work


def _csvsql(place: Place) -> Callable[[Meter, Case], None]:
    def work(meter: Meter, case: Case) -> None:
        schema, _, name = case.set.table.partition(".")
        url = place.url.replace("postgresql://", "postgresql+psycopg2://", 1)
        meter.run([
            str(_program("csvsql")), "--db", url, "--insert", "--no-create", "--no-inference",
            "--snifflimit", "0", "--chunk-size", "10000", "--db-schema", schema, "--tables", name,
            str(case.files.clean),
        ])  # fmt: skip

    return work


_COMMANDS = {"pgloader": _pgloader, "csvsql": _csvsql}


def _program(name: str) -> str | None:
    """A program beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)
