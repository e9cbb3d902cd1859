"""dlt: Arrow batches, CSV files and COPY, and an upsert into a table of dlt's own making."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import dlt
import pyarrow as pa
from dlt.destinations import postgres
from pyarrow import csv

from .task import Task, given

_TYPES = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "numeric(12, 2)": pa.decimal128(12, 2),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
}


def load(task: Task) -> None:
    """Merge the file by the key; what dlt has no type for is text."""
    parts = task.connection()
    password = os.environ.get("PGPASSWORD", "")
    url = f"postgresql://{parts['user']}:{password}@{parts['host']}:{parts['port']}/{parts['name']}"
    schema, name = task.schema_and_name

    @dlt.resource(
        name=name,
        primary_key=task.key,
        write_disposition={"disposition": "merge", "strategy": "upsert"},
    )
    def rows() -> Iterator[Any]:
        yield from _batches(task)

    with tempfile.TemporaryDirectory() as folder:
        dlt.pipeline(
            "bench", destination=postgres(url), dataset_name=schema, pipelines_dir=folder
        ).run(rows(), loader_file_format="csv").raise_on_failed_jobs()


def _batches(task: Task) -> Iterator[Any]:
    reader = csv.open_csv(
        task.file,
        read_options=csv.ReadOptions(block_size=8 << 20),
        convert_options=csv.ConvertOptions(
            column_types={
                name: _TYPES.get(kind, pa.string()) for name, kind in task.columns.items()
            },
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


if __name__ == "__main__":
    load(given())
