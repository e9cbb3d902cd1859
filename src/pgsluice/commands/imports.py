"""`pgsluice import`: files into a resource, over HTTP."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..client import Api, ClientError
from ..settings import Settings
from . import report
from .bars import Bars, bars
from .common import INTERRUPTED, UsageError, note, print_json, remote_flags, service
from .files import save_errors, save_rejects
from .follow import ended, follow
from .upload import Sending, is_url, shown_name

# Options of an import with a value, and with what they take.
_VALUES = {
    "format": "csv, ndjson, json, xlsx or parquet (else by the file's name)",
    "sheet": "of a workbook: its name (the first)",
    "mode": "upsert, insert or update",
    "match": "keys by which records find their rows: id,email",
    "on-duplicate": "reject, first or last: of records with one key",
    "unknown-fields": "reject or ignore",
    "mapping": """file field to resource field: '{"E-Mail": "email"}'""",
    "defaults": """values of new rows: '{"role": "reader"}'""",
    "identity": "generate or keep",
    "max-errors": "rejects that are kept",
    "max-error-ratio": "0 to 1: past it the import fails before it writes",
    "delimiter": ", ; | or tab",
    "null": "the text that means null",
    "encoding": "of the file: latin-1, cp1252 …",
    "date-order": "dmy, mdy or ymd",
    "decimal": ". or ,",
    "priority": "normal or interactive",
    "parent": "the import that this one mends",
    "callback-url": "is posted the finished job",
    "file-name": "what the file is called, for standard input",
}
_SWITCHES = {
    "atomic": "all or nothing",
    "trim": "drop blanks around cells",
    "results": "keep the outcome of each good record",
}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "import",
        parents=[remote_flags()],
        usage="pgsluice import RESOURCE FILE… [flags]",
        help="import files into a resource",
        epilog="ends with 0 when all is clean, 3 when records were rejected, 1 when an import "
        "failed, 130 after Ctrl-C",
    )
    parser.add_argument("resource", metavar="RESOURCE")
    told = "a file, a URL that the service fetches, or - for standard input"
    parser.add_argument("files", metavar="FILE", nargs="+", help=told)
    parser.add_argument("--follow", action="store_true", help="show the progress, wait for the end")
    told = "judge everything, write nothing"
    parser.add_argument("--dry-run", action="store_const", const="true", help=told)
    told = "a dry run that also tries to write, then rolls back (at most 100,000 records)"
    parser.add_argument(
        "--dry-run-write", dest="dry_run", action="store_const", const="write", help=told
    )
    told = "write the rejected records there; for several files, a folder"
    parser.add_argument("--rejects", type=Path, metavar="FILE", help=told)
    told = "write all errors there, as .csv or .ndjson; for several files, a folder"
    parser.add_argument("--errors", type=Path, metavar="FILE", help=told)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    told = "a repeat with this key is no second import (a new one each time)"
    parser.add_argument("--idempotency-key", metavar="KEY", help=told)
    options = parser.add_argument_group("options of the import")
    for name, told in _VALUES.items():
        options.add_argument(f"--{name}", help=told, metavar="…")
    for name, told in _SWITCHES.items():
        options.add_argument(f"--{name}", action="store_true", help=told)
    parser.set_defaults(command=run)


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Send the files one after another; the worst end of them is the exit code."""
    _refuse(given)
    remote = service(settings, given)
    waits = given.follow or given.dry_run or given.rejects or given.errors
    done: list[dict[str, Any]] = []
    codes = [0]
    for at, source in enumerate(given.files):
        try:
            job, interrupted = _one(remote, given, source, at, waits=bool(waits))
        except ClientError as exc:
            if len(given.files) == 1:
                raise
            note(f"pgsluice: {shown_name(source)}: {exc}")
            codes.append(1)
            continue
        done.append(job)
        codes.append(report.exit_code(job))
        if interrupted:
            codes = [INTERRUPTED]
            break
    if given.json:
        print_json(done[0] if len(given.files) == 1 else done)
    return _worst(codes)


def _one(
    remote: Api, given: argparse.Namespace, source: str, at: int, *, waits: bool
) -> tuple[dict[str, Any], bool]:
    """The job of one file, and whether Ctrl-C has ended it."""
    name, interrupted = shown_name(source), False
    with bars(quiet=given.quiet) as screen:
        job = _send(remote, given, source, _key(given, at), screen)
        if waits:
            screen.rows("rows")
            job, interrupted = _followed(remote, job, screen)
    rejects = given.rejects and _place(given.rejects, given.files, f"{name}.rejects")
    if not given.json:
        _tell(remote, job, name, rejects)
    if rejects and ended(job):
        save_rejects(remote, job, rejects)
    if given.errors and ended(job):
        save_errors(remote, job, _place(given.errors, given.files, f"{name}.errors.csv"))
    return job, interrupted


def _followed(remote: Api, job: dict[str, Any], screen: Bars) -> tuple[dict[str, Any], bool]:
    try:
        return follow(remote, job, "rows", screen)
    except KeyboardInterrupt:
        note(f"left; how it ends: pgsluice jobs show {job['job_id']}")
        raise


def _send(
    remote: Api, given: argparse.Namespace, source: str, key: str, screen: Bars
) -> dict[str, Any]:
    sending = Sending(remote, source, _params(given, source), key, screen)
    try:
        return sending.run()
    except KeyboardInterrupt:
        if sending.whole:
            note("interrupted: the file was sent whole and may be accepted; see pgsluice jobs")
        else:
            note("interrupted: the file was not sent whole, so nothing was written")
        raise


def _params(given: argparse.Namespace, source: str) -> dict[str, str]:
    """The options as the query of the request."""
    found = {"resource": given.resource}
    for name in (*_VALUES, *_SWITCHES):
        key = name.replace("-", "_")
        value = getattr(given, key)
        if value is not None and value is not False:
            found[key] = "true" if value is True else value
    if given.dry_run:
        found["dry_run"] = given.dry_run
    if source != "-" and not is_url(source):
        found.setdefault("file_name", shown_name(source))
    return found


def _key(given: argparse.Namespace, at: int) -> str:
    if given.idempotency_key is None:
        return uuid4().hex
    return given.idempotency_key if len(given.files) == 1 else f"{given.idempotency_key}-{at + 1}"


def _tell(remote: Api, job: dict[str, Any], name: str, rejects: Path | None) -> None:
    if ended(job):
        report.show(job, name, report.summary_of(remote, job), rejects)
    else:
        print(f"{name}: accepted as job {job['job_id']}")
        print(f"  pgsluice jobs follow {job['job_id']}")


def _place(wanted: Path, files: Sequence[str], name: str) -> Path:
    return wanted if len(files) == 1 else wanted / name


def _refuse(given: argparse.Namespace) -> None:
    if given.files.count("-") > 1:
        raise UsageError("standard input can be read once only")
    if "-" in given.files and sys.stdin.isatty():
        raise UsageError("standard input is this terminal: pipe a file into it")
    if "-" in given.files and not (given.format or given.file_name):
        raise UsageError(
            "standard input has no name: say --format csv, ndjson, json, xlsx or parquet"
        )
    for place in filter(None, (given.rejects, given.errors)):
        if len(given.files) > 1 and not place.is_dir():
            raise UsageError(f"for several files {place} must be a folder, and it is none")
        if not place.parent.is_dir():
            raise UsageError(f"{place.parent} is no folder, so nothing can be written to {place}")


def _worst(codes: Sequence[int]) -> int:
    """Failed is worse than partial, which is worse than clean."""
    return max(codes, key=(0, 3, 1, INTERRUPTED).index)
