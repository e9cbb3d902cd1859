"""`pgsluice download`: the file of an export job, from where it broke off."""

import argparse
from pathlib import Path
from typing import Any

from ..client import ClientError
from ..settings import Settings
from .common import UsageError, find_job, remote_flags, service
from .export_job import finish


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "download",
        parents=[remote_flags()],
        help="fetch the file of an export that the service has made",
        epilog="waits for an export that still runs; a download that broke goes on where it was",
    )
    parser.add_argument("job", metavar="JOB", help="its id, or last for the newest export")
    told = "a file, a folder, or - for standard output (its own name, here)"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=told)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(command=run)


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Fetch it, after its end; Ctrl-C leaves the job alone, and keeps what has come."""
    if given.json and str(given.output) == "-":
        raise UsageError("--json tells of a file: give it a name with -o")
    remote = service(settings, given)
    job = find_job(remote, given.job, kind="export")
    if job["kind"] != "export":
        raise ClientError(f"job {job['job_id']} is an import, which has no file to fetch")
    return finish(remote, given, job, given.output or Path(), cancels=False)
