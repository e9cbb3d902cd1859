"""`pgsluice sample`: files to try imports with, good records and the usual defects."""

import argparse
from pathlib import Path
from typing import Any

from ..client import ClientError
from ..sample.files import SETS, samples, write
from ..settings import Settings
from .common import UsageError, print_json


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "sample",
        help="write sample files to import",
        epilog="huge: users_huge.csv (10,000), articles_huge.ndjson (15,000) and "
        "comments_huge.ndjson (20,000), each with about one record in twenty bad",
    )
    parser.add_argument("--set", choices=SETS, default="huge", help="which files (huge)")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where they are written")
    told = "records of a file; of huge: users, and articles and comments in proportion"
    parser.add_argument("--rows", type=int, help=told)
    parser.add_argument("--seed", type=int, default=1, help="the same gives the same bytes (1)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.set_defaults(command=run)


def run(_settings: Settings, given: argparse.Namespace) -> int:
    """Write the files, and say how to import them."""
    if given.rows is not None and given.rows < 1:
        raise UsageError("--rows must be 1 or more")
    found = samples(given.set, given.seed, given.rows)
    told = []
    for sample in found:
        path = given.folder / sample.name
        try:
            given.folder.mkdir(parents=True, exist_ok=True)
            size = write(path, sample.lines())
        except OSError as exc:
            raise ClientError(f"{path} cannot be written: {exc.strerror or exc}") from exc
        told.append(
            {"resource": sample.resource, "file": str(path), "rows": sample.rows, "bytes": size}
        )
        if not given.json:
            print(f"{path}: {sample.rows:,} records, {size:,} bytes")
    if given.json:
        return print_json(told)
    print(f"\ntry: pgsluice import {found[0].resource} {given.folder / found[0].name} --follow")
    return 0
