"""INSERT of 1,000 rows a statement with parameters, and SELECT of 1,000 rows at a time."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from .task import Task, given

_BATCH = 1000


def load(task: Task) -> None:
    """Upsert the file, a commit a batch."""
    with (
        psycopg.connect(task.url, autocommit=True) as conn,
        Path(task.file).open(newline="") as file,
    ):
        rows = csv.reader(file)
        next(rows)
        while batch := list(islice(rows, _BATCH)):
            cells = [cell or None for row in batch for cell in row]
            conn.execute(_insert(task, len(batch)), cells, prepare=True)


def _insert(task: Task, rows: int) -> sql.Composed:
    row = sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(task.columns)))
    changes = [
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
        for name in task.columns
        if name not in ("id", task.key)
    ]
    return sql.SQL(
        "insert into {} ({}) values {} on conflict ({}) do update set {}"
    ).format(
        sql.Identifier(*task.schema_and_name),
        sql.SQL(", ").join(map(sql.Identifier, task.columns)),
        sql.SQL(", ").join([row] * rows),
        sql.Identifier(task.key),
        sql.SQL(", ").join(changes),
    )  # fmt: skip


def export(task: Task) -> int:
    """Write the table row by row; the number of rows."""
    with psycopg.connect(task.url) as conn, conn.cursor("export") as cursor, _open(task) as file:
        cursor.itersize = _BATCH
        cursor.execute(sql.SQL("select * from {}").format(sql.Identifier(*task.schema_and_name)))
        names = [column.name for column in cursor.description or ()]
        return _write(task.kind, file, names, iter(cursor))


def _write(kind: str, file: IO[str], names: list[str], rows: Iterator[tuple[Any, ...]]) -> int:
    count = 0
    writer = csv.writer(file)
    if kind.startswith("csv"):
        writer.writerow(names)
    for count, row in enumerate(rows, 1):
        if kind.startswith("csv"):
            writer.writerow(row)
        else:
            start = "" if kind == "ndjson" else "[" if count == 1 else ","
            file.write(f"{start}{json.dumps(dict(zip(names, row, strict=True)), default=str)}\n")
    if kind == "json":
        file.write("]\n")
    return count


def _open(task: Task) -> IO[str]:
    if task.kind == "csv.gz":
        return io.TextIOWrapper(gzip.open(task.file, "wb", compresslevel=3))
    return Path(task.file).open("w", encoding="utf-8")


if __name__ == "__main__":
    asked = given()
    if asked.kind in ("first", "again", "changed"):
        load(asked)
    else:
        print(export(asked))
