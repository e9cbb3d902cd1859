"""Exports that the service carries out: asked for, watched, their files fetched."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..client import Api, BrokenError, ClientError
from . import report
from .bars import bars
from .common import INTERRUPTED, UsageError, note, print_json
from .export_request import LATER
from .fetch import fetch_all, places
from .follow import ended, follow

_PAUSES = (1.0, 2.0, 5.0)


def is_wanted(given: argparse.Namespace) -> bool:
    """Whether somebody said what only a job can do."""
    told = [getattr(given, name.replace("-", "_")) for name in LATER]
    return any((given.later, given.follow, given.idempotency_key, *told))


def run(remote: Api, given: argparse.Namespace, asked: dict[str, Any], *, stays: bool) -> int:
    """Have the export made and, unless it stays there, fetch what came of it."""
    if not stays and given.output is None and sys.stdout.isatty():
        raise UsageError("this makes a file: say -o FILE, or --async to leave it with the service")
    if asked.get("archive") == "none" and not stays and not (given.output or Path("-")).is_dir():
        raise UsageError("with --archive none there are several files: let -o name a folder")
    job = _ask(remote, asked, given.idempotency_key or uuid4().hex)
    if stays and not given.follow:
        return _accepted(given, job)
    return finish(remote, given, job, given.output or (None if stays else Path("-")))


def finish(
    remote: Api, given: argparse.Namespace, job: dict[str, Any], output: Path | None,
    *, cancels: bool = True,
) -> int:  # fmt: skip
    """Wait for the end of an export, then fetch its files; None leaves them with the service."""
    name = _name(job)
    if not ended(job):
        with bars(quiet=given.quiet) as screen:
            screen.rows(name)
            try:
                job, interrupted = follow(remote, job, name, screen, cancels=cancels)
            except KeyboardInterrupt:
                how = "jobs show" if cancels else "download"
                note(f"left; how it ends: pgsluice {how} {job['job_id']}")
                return INTERRUPTED
        if interrupted and job["status"] != "completed":
            return _told(given, job, name, INTERRUPTED)
    if job["status"] != "completed" or output is None:
        return _told(given, job, name, report.exit_code(job))
    found = places(job, output)
    with bars(quiet=given.quiet or (str(output) == "-" and sys.stdout.isatty())) as screen:
        fetch_all(remote, job, found, screen)
    if given.json:
        told = [str(path) for path, _ in found if path]
        return print_json({**job, "saved": told})
    if not given.quiet:
        for path, file in found:
            if path:
                print(f"{path}: {file['exported']:,} records, {file['bytes']:,} bytes")
    return 0


def _ask(remote: Api, asked: dict[str, Any], key: str) -> dict[str, Any]:
    pauses = iter(_PAUSES)
    while True:
        try:
            return dict(remote.ask("POST", "exports", asked, headers={"Idempotency-Key": key}))
        except BrokenError as exc:
            if (pause := next(pauses, None)) is None:
                raise ClientError(
                    f"{exc}; the service may have accepted it. To be sure, say the same with "
                    f"--idempotency-key {key}"
                ) from exc
        time.sleep(pause)


def _accepted(given: argparse.Namespace, job: dict[str, Any]) -> int:
    if given.json:
        return print_json(job)
    print(f"{_name(job)}: accepted as job {job['job_id']}")
    print(f"  pgsluice download {job['job_id']}")
    return 0


def _told(given: argparse.Namespace, job: dict[str, Any], name: str, code: int) -> int:
    if given.json:
        print_json(job)
    else:
        report.show(job, name, None)
        if job["status"] == "completed":
            print(f"  pgsluice download {job['job_id']}")
    return code


def _name(job: dict[str, Any]) -> str:
    one = job["file_name"] if len(job["files"]) < 2 else None
    return one or ", ".join(job["resources"])
