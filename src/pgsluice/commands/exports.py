"""`pgsluice export`: resources out of the service, whole or with an exit code that tells."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..client import BrokenError, ClientError
from ..settings import Settings
from . import export_job
from .bars import bars
from .common import UsageError, remote_flags, service, tell_file
from .export_request import FORMS, LATER, LISTS, PLAIN, body, form_of, query
from .files import save_export


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        parents=[remote_flags()],
        usage="pgsluice export RESOURCE… [flags]",
        help="export resources to a file or standard output",
        epilog="""examples: pgsluice export users --fields email,name --filter role=admin
        'created_at[gte]=2024-01-01' -o admins.csv; pgsluice export users articles
        --filter users:role=author --format csv -o authors.zip""",
    )
    told = "one is streamed as it is read; several leave in a zip, as one snapshot"
    parser.add_argument("resources", metavar="RESOURCE", nargs="+", help=told)
    told = "else by the name of the file, else ndjson"
    parser.add_argument("--format", choices=FORMS, help=told)
    told = "field=value, or with [in] [gt] [gte] [lt] [lte] [ne] [null] behind the field"
    parser.add_argument("--filter", nargs="+", action="extend", default=[], metavar="F", help=told)
    for name, told in LISTS.items():
        parser.add_argument(f"--{name}", action="append", default=[], metavar="…", help=told)
    for name, told in PLAIN.items():
        parser.add_argument(f"--{name}", metavar="…", help=told)
    told = "there whole or not at all; .gz and .zst are compressed (else standard output)"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=told)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    jobs = parser.add_argument_group(
        "as a job of the service, which keeps the file for a while, so that a download that broke "
        "goes on: several resources, and whoever says one of these"
    )
    told = "a job: leave the file with the service; with -o, fetch it when it is done"
    jobs.add_argument("--async", dest="later", action="store_true", help=told)
    jobs.add_argument("--follow", action="store_true", help="a job: wait for its end")
    for name, told in LATER.items():
        jobs.add_argument(f"--{name}", metavar="…", help=told)
    told = "a repeat with this key is no second export (a new one each time)"
    jobs.add_argument("--idempotency-key", metavar="KEY", help=told)
    parser.set_defaults(command=run)


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Export, streamed or as a job; what breaks is an error, and leaves no file."""
    path = None if given.output is None or str(given.output) == "-" else given.output
    is_job = len(given.resources) > 1 or export_job.is_wanted(given)
    stays = is_job and given.output is None and (given.later or given.follow)
    if path is None and given.json and not stays:
        raise UsageError("--json tells of a file: give it a name with -o, or say --format json")
    if is_job:
        return export_job.run(service(settings, given), given, body(given, path), stays=stays)
    return _stream(settings, given, path)


def _stream(settings: Settings, given: argparse.Namespace, path: Path | None) -> int:
    remote, name = service(settings, given), given.resources[0]
    params = query(given, form_of(path))
    # bars over rows on the same terminal would garble both
    quiet = given.quiet or (path is None and sys.stdout.isatty())
    with bars(quiet=quiet) as screen:
        try:
            save_export(remote, params, path, screen, name)
        except BrokenError as exc:
            left = f"nothing was left at {path}" if path else "what was written is not whole"
            raise ClientError(f"{exc}: {left}") from exc
    if path is not None and not given.quiet:
        return tell_file(given, path)
    return 0
