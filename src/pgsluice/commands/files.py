"""Errors and rejects of an import on their way into a file, as they come."""

from pathlib import Path
from typing import Any

from ..client import Api
from .bars import Bars
from .output import copy, output


def save_rejects(
    remote: Api, job: dict[str, Any], path: Path | None, form: str | None = None
) -> None:
    """Write the rejected records in the upload's own format; stdout for None.

    Those of a workbook become a CSV, or the reverse, and those of Parquet either, as `form` or the
    name of the file has it.
    """
    named = path.suffix[1:] if path and path.suffix in (".csv", ".xlsx") else None
    wanted = form or (named if job["format"] in ("csv", "xlsx", "parquet") else None)
    _save(remote, f"imports/{job['job_id']}/rejects", {"format": wanted} if wanted else {}, path)


def save_errors(
    remote: Api,
    job: dict[str, Any],
    path: Path | None,
    form: str | None = None,
    chosen: dict[str, str] | None = None,
) -> None:
    """Write all errors: as `form` says, else as the name of the file ends, else csv."""
    by_name = "ndjson" if path and path.suffix in (".ndjson", ".jsonl") else "csv"
    params = {"format": form or by_name, **(chosen or {})}
    _save(remote, f"imports/{job['job_id']}/errors", params, path)


def _save(remote: Api, where: str, params: dict[str, str], path: Path | None) -> None:
    headers = {"Accept-Encoding": "gzip"}
    with (
        remote.stream(where, params.items(), headers) as reply,
        output(path) as write,
    ):
        copy(reply.iter_bytes(), write, lambda _: None)


def save_export(
    remote: Api, params: list[tuple[str, str]], path: Path | None, screen: Bars, name: str
) -> None:
    """Write an export; a name that ends in .gz or .zst has it compressed on the way."""
    codings = {".gz": "gzip", ".zst": "zstd"}
    wanted = codings.get(path.suffix) if path else None
    headers = {"Accept-Encoding": wanted or "identity"}
    with remote.stream("exports", params, headers) as reply, output(path) as write:
        screen.bytes(name, None)
        copy(reply.iter_raw(), write, lambda step: screen.advance(name, step))
