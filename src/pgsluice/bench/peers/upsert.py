"""pg-upsert: COPY into a staging table, its checks, and its merge."""

from pathlib import Path

import psycopg
from pg_upsert import PgUpsert
from psycopg import sql

from .task import Task, given

_STAGING = "bench_staging"


def load(task: Task) -> None:
    """Stage the file and have it merged; fails when the merge was refused."""
    schema, name = task.schema_and_name
    with psycopg.connect(task.url) as conn:
        _stage(conn, task)
        conn.commit()
        result = PgUpsert(
            conn=conn,
            tables=[name],
            staging_schema=_STAGING,
            base_schema=schema,
            do_commit=True,
            upsert_method="upsert",
        ).run()
    if not result.committed:
        raise SystemExit(f"pg-upsert committed nothing: {result}")


def _stage(conn: psycopg.Connection, task: Task) -> None:
    staging = sql.Identifier(_STAGING, task.schema_and_name[1])
    columns = sql.SQL(", ").join(map(sql.Identifier, task.columns))
    schema = sql.Identifier(_STAGING)
    conn.execute(sql.SQL("drop schema if exists {} cascade").format(schema))
    conn.execute(sql.SQL("create schema {}").format(schema))
    conn.execute(
        sql.SQL("create unlogged table {} as select {} from {} with no data").format(
            staging, columns, sql.Identifier(*task.schema_and_name)
        )
    )
    command = sql.SQL("copy {} ({}) from stdin with (format csv, header)").format(staging, columns)
    with Path(task.file).open("rb") as file, conn.cursor().copy(command) as copy:
        while block := file.read(1 << 17):
            copy.write(block)
    conn.execute(sql.SQL("analyze {}").format(staging))


if __name__ == "__main__":
    load(given())
