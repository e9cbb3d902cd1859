"""`pgsluice doctor`: what is wrong here, and what to do about it."""

import argparse
from collections.abc import Iterator
from typing import Any

import msgspec

from ..failures import CommandError
from ..settings import Settings
from .common import FAILED, database_flags, painted, print_json
from .finding import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        parents=[database_flags()],
        help="look at database, queue, store, clock, disk and settings, and say what to do",
        epilog="ends with 1 when something fails",
    )
    parser.add_argument("--url", help="where the service is (SLUICE_URL; http://127.0.0.1:8080)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.set_defaults(command=run)


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Print a line for each thing as it is looked at; 1 when one of them fails."""
    findings = []
    for found in _all(settings):
        findings.append(found)
        if not given.json:
            print(f"{painted(f'{found.state:<5}', _COLOURS[found.state])}"
                  f" {found.finding}: {found.told}")  # fmt: skip
            if found.todo:
                print(f"      -> {found.todo}", flush=True)
    if given.json:
        print_json([msgspec.to_builtins(found) for found in findings])
    return FAILED if any(found.state == "fail" for found in findings) else 0


def _all(settings: Settings) -> Iterator[Finding]:
    # the clients of Postgres and of stores take a while to import
    from .database_checks import check_database, check_replica
    from .host_checks import check_host

    if dsn := _database(settings):
        yield from check_database(dsn, settings.listen_url)
        if settings.export_database_url:
            yield from check_replica(settings.export_database_url, dsn)
    else:
        told = f"DATABASE_URL is not set, and no embedded server runs in {settings.data_dir}"
        yield Finding("database", "warn", told, "start pgsluice serve, or set DATABASE_URL")
    yield from check_host(settings)


def _database(settings: Settings) -> str | None:
    if settings.database_url:
        return settings.database_url
    from .. import embedded

    try:
        running = embedded.attach(settings.data_dir, pg_bin=settings.pg_bin)
    except CommandError:
        return None
    return running.dsn if running else None
