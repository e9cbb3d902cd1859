"""`pgsluice export`: a resource out of the service, whole or with an exit code that tells."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..client import BrokenError, ClientError
from ..settings import Settings
from .bars import bars
from .common import UsageError, print_json, remote_flags, service
from .files import save_export

_LISTS = {
    "fields": "which, in this order: email,name",
    "order": "by what, - for descending: -created_at,email",
    "include": "lists of children: addresses",
    "limit": "at most so many rows",
    "delimiter": "of csv: , ; | or tab",
    "null": "of csv: what stands for null",
    "header": "of csv: false for none",
    "escape-formulas": "of csv: true for spreadsheets that obey cells",
}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        parents=[remote_flags()],
        help="export a resource to a file or standard output",
        epilog="""example: pgsluice export users --fields email,name --filter role=admin
        'created_at[gte]=2024-01-01' -o admins.csv""",
    )
    parser.add_argument("resource", metavar="RESOURCE")
    told = "else by the name of the file, else ndjson"
    parser.add_argument("--format", choices=["csv", "ndjson", "json", "xlsx"], help=told)
    told = "field=value, or with [in] [gt] [gte] [lt] [lte] [ne] [null] behind the field"
    parser.add_argument("--filter", nargs="+", action="extend", default=[], metavar="F", help=told)
    for name, told in _LISTS.items():
        parser.add_argument(f"--{name}", metavar="…", help=told)
    told = "there whole or not at all; .gz and .zst are compressed (else standard output)"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=told)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(command=run)


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Stream the export; a stream that breaks is an error, and leaves no file."""
    path = None if given.output is None or str(given.output) == "-" else given.output
    if path is None and given.json:
        raise UsageError("--json tells of a file: give it a name with -o, or say --format json")
    remote = service(settings, given)
    params = _params(given, path)
    # bars over rows on the same terminal would garble both
    quiet = given.quiet or (path is None and sys.stdout.isatty())
    with bars(quiet=quiet) as screen:
        try:
            save_export(remote, params, path, screen, given.resource)
        except BrokenError as exc:
            left = f"nothing was left at {path}" if path else "what was written is not whole"
            raise ClientError(f"{exc}: {left}") from exc
    if path is not None and not given.quiet:
        size = path.stat().st_size
        if given.json:
            return print_json({"file": str(path), "bytes": size})
        print(f"{path}: {size:,} bytes")
    return 0


def _params(given: argparse.Namespace, path: Path | None) -> list[tuple[str, str]]:
    params = [("resource", given.resource)]
    if form := given.format or _form_of(path):
        params.append(("format", form))
    for name in _LISTS:
        key = name.replace("-", "_")
        if (value := getattr(given, key)) is not None:
            params.append((key, value))
    for text in given.filter:
        field, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"a filter is field=value, not {text!r}")
        params.append((field, value))
    return params


def _form_of(path: Path | None) -> str | None:
    names = {f".{name}": name for name in ("csv", "ndjson", "json", "xlsx")} | {".jsonl": "ndjson"}
    found = [names[suffix] for suffix in (path.suffixes if path else ()) if suffix in names]
    return found[-1] if found else None
