"""Imports through SQL alone, as psql makes them: begin, COPY into the stage, run."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]


class Verdict(NamedTuple):
    """An error of a record, without its message."""

    row: int
    field: str | None
    code: str


@dataclass
class Import:
    """A job that was run to its end, and its errors."""

    job: dict[str, Any]
    errors: list[dict[str, Any]]

    @property
    def counts(self) -> tuple[int, ...]:
        """inserted, updated, unchanged, rejected."""
        return tuple(self.job[name] for name in ("inserted", "updated", "unchanged", "rejected"))

    @property
    def verdicts(self) -> list[Verdict]:
        """The errors as (row, field, code), in the order of the file."""
        return [Verdict(e["row"], e["field"], e["code"]) for e in self.errors]


def csv_text(header: list[str], *rows: list[Any], delimiter: str = ",") -> str:
    """A CSV file; None is an unquoted empty cell, '' a quoted one."""

    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        plain = text and not any(c in text for c in f'"\r\n{delimiter}')
        return text if value is None or plain else '"' + text.replace('"', '""') + '"'

    return "".join(delimiter.join(map(cell, row)) + "\n" for row in [header, *rows])


def lines(*records: Any) -> str:
    """NDJSON: texts stand as they are, all else is written as JSON."""
    return "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records)


def begin(conn: Connection, resource: str, data: str, form: str, **options: Any) -> str:
    """Begin an import and copy the data into its stage; the job's id."""
    header = None
    if form == "csv":
        sign = options.get("delimiter", ",")
        header = next(csv.reader(io.StringIO(data), delimiter=sign if len(sign) == 1 else ","))
    job_id, command = conn.execute(
        "select * from sluice.import_begin(%s, %s, header => %s, options => %s, file_name => %s)",
        [resource, form, header, Jsonb(options), "file"],
    ).fetchone()
    command = command.removeprefix("\\").replace("from 'file'", "from stdin")
    with conn.cursor() as cursor, cursor.copy(command) as copy:
        copy.write(data)
    return str(job_id)


def result(conn: Connection, job_id: str) -> Import:
    """The job as it stands, and its errors."""
    with conn.cursor(row_factory=dict_row) as cursor:
        job = cursor.execute("select * from sluice.job where job_id = %s", [job_id]).fetchone()
        errors = cursor.execute("select * from sluice.import_errors(%s)", [job_id]).fetchall()
    assert job
    return Import(job, errors)


def step(conn: Connection, job_id: str | None = None) -> dict[str, Any]:
    """Take one step, of the given import or of any, and carry it out; the reply."""
    while True:
        found = conn.execute("select sluice.next_step(%s)", [job_id]).fetchone()
        assert found
        reply: dict[str, Any] = found[0]
        if reply["status"] != "claimed":
            return reply


def run(conn: Connection, job_id: str) -> Import:
    """Carry a begun import out; it must conserve its records."""
    conn.execute("call sluice.import_run(%s)", [job_id])
    done = result(conn, job_id)
    job = done.job
    assert job["received"] == sum(
        job[name]
        for name in ("inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed")
    )
    assert min(job[name] for name in ("inserted", "updated", "unchanged", "unprocessed")) >= 0
    return done


def load(
    conn: Connection, resource: str, data: str, *, form: str = "csv", **options: Any
) -> Import:
    """Import the data, options as keywords; it must not fail."""
    done = run(conn, begin(conn, resource, data, form, **options))
    assert done.job["state"] == "completed", done.job["error"]
    return done


def load_lines(conn: Connection, resource: str, *records: Any, **options: Any) -> Import:
    """Import records as NDJSON."""
    return load(conn, resource, lines(*records), form="ndjson", **options)


def rows(conn: Connection, query: str) -> list[Any]:
    """What a query returns: tuples, or bare values where it has one column."""
    found = conn.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def table(conn: Connection, columns: str, *more: str, name: str = "t", **registered: Any) -> None:
    """Make a table of the columns, carry out more statements, and register it under its name."""
    conn.execute(f"create table public.{name} ({columns})")
    for statement in more:
        conn.execute(statement)
    conn.execute(
        "select sluice.register(resource => %s, target => %s::regclass"
        + "".join(f", {key} => %s" for key in registered)
        + ")",
        [name, f"public.{name}"]
        + [Jsonb(v) if isinstance(v, dict) else v for v in registered.values()],
    )
