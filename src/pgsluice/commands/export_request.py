"""What an export asks of the service: a query for a stream, a body for a job."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .common import UsageError

# With several resources each of these, and each filter, has its resource before it.
LISTS = {
    "fields": "which, in this order: email,name (of several resources: users:email,name)",
    "order": "by what, - for descending: -created_at,email",
    "include": "lists of children: addresses",
}
PLAIN = {
    "limit": "at most so many rows",
    "delimiter": "of csv: , ; | or tab",
    "null": "of csv: what stands for null",
    "header": "of csv: false for none",
    "escape-formulas": "of csv: true for spreadsheets that obey cells",
}
LATER = {
    "compression": "gzip, zstd or none (by the name of the file)",
    "archive": "of several resources: zip (the default), or none: a file each, in the folder of -o",
    "closed": "false: rows stay that refer to rows which filters leave out",
    "expires-in": "seconds that the file can be downloaded (SLUICE_EXPORT_TTL)",
    "callback-url": "is posted the finished job",
}
FORMS = ("csv", "ndjson", "json", "xlsx", "parquet")
_SUFFIXES = {
    ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".xlsx": "xlsx",
    ".parquet": "parquet",
}  # fmt: skip
_PACKED = {".gz": "gzip", ".zst": "zstd"}


def form_of(path: Path | None) -> str | None:
    """The format that the name of a file means."""
    found = [_SUFFIXES[suffix] for suffix in (path.suffixes if path else ()) if suffix in _SUFFIXES]
    return found[-1] if found else None


def query(given: argparse.Namespace, form: str | None) -> list[tuple[str, str]]:
    """The parameters of a stream."""
    params = [("resource", given.resources[0])]
    if form := given.format or form:
        params.append(("format", form))
    params += [(name, ",".join(values)) for name in LISTS if (values := getattr(given, name))]
    return [*params, *_plain(given, PLAIN), *map(_pair, given.filter)]


def body(given: argparse.Namespace, path: Path | None) -> dict[str, Any]:
    """The request of a job, as JSON has it; the service judges all of it."""
    asked: dict[str, Any] = {
        "resources": given.resources,
        **dict(_plain(given, {**PLAIN, **LATER})),
    }
    if form := given.format or form_of(path):
        asked["format"] = form
    if path and path.suffix in _PACKED and len(given.resources) == 1:
        asked.setdefault("compression", _PACKED[path.suffix])
    several = len(given.resources) > 1
    for name in LISTS:
        if not (values := getattr(given, name)):
            continue
        if several:
            asked[name] = dict(_owned(given, text) for text in values)
        else:
            asked[name] = ",".join(values)
    filters: dict[str, Any] = {}
    for text in given.filter:
        resource, rest = _owned(given, text) if several else ("", text)
        field, value = _pair(rest)
        into = filters.setdefault(resource, {}) if several else filters
        if field in into:
            raise UsageError(f"the filter {field} is given twice")
        into[field] = value
    return asked | ({"filters": filters} if filters else {})


def _owned(given: argparse.Namespace, text: str) -> tuple[str, str]:
    resource, colon, rest = text.partition(":")
    if not colon or resource not in given.resources:
        raise UsageError(f"of which resource? say {given.resources[0]}:{text}")
    return resource, rest


def _plain(given: argparse.Namespace, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in names:
        key = name.replace("-", "_")
        if (value := getattr(given, key)) is not None:
            yield key, value


def _pair(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"a filter is field=value, not {text!r}")
    return field, value
