"""`pgsluice jobs`, `errors`, `rejects`, `cancel`, `retry`: what became of imports and exports."""

import argparse
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..client import Api, ClientError
from ..settings import Settings
from . import report
from .bars import bars
from .common import (
    INTERRUPTED,
    find_job,
    moment,
    note,
    number,
    path_of,
    print_json,
    remote_flags,
    service,
    table,
    tell,
    tell_file,
)
from .files import save_errors, save_rejects
from .follow import ended, follow

_HEADS = ("JOB", "STATUS", "RESOURCE", "KIND", "RECORDS", "REJECTED", "CREATED")


def add_to(commands: Any) -> None:
    """Add the commands to the parser."""
    remote = remote_flags()
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--status", help="pending, processing, completed, failed or cancelled")
    chosen.add_argument("--resource", help="of this resource only")
    chosen.add_argument("--kind", choices=["import", "export"], help="imports or exports only")
    chosen.add_argument("--limit", type=int, default=20, help="so many, the newest first (20)")
    named = argparse.ArgumentParser(add_help=False, parents=[remote])
    named.add_argument("job", metavar="JOB", help="its id, or last for the newest")

    told = "list, show and follow imports and exports"
    parser = commands.add_parser("jobs", parents=[remote, chosen], help=told)
    parser.set_defaults(command=list_all)
    actions = parser.add_subparsers(metavar="ACTION")
    action = actions.add_parser("list", parents=[remote, chosen], help="the newest jobs")
    action.set_defaults(command=list_all)
    action = actions.add_parser("show", parents=[named], help="one job with its counts and errors")
    action.set_defaults(command=show)
    action = actions.add_parser("follow", parents=[named], help="watch a job until its end")
    action.set_defaults(command=watch)
    told = "remove an ended job, with its rejects or its file"
    action = actions.add_parser("delete", parents=[named], help=told)
    action.set_defaults(command=delete)

    parser = commands.add_parser("errors", parents=[named], help="the errors of an import")
    parser.add_argument("--field", help="of this field only")
    parser.add_argument("--code", help="of this code only: check, required, type …")
    parser.add_argument("--limit", type=int, default=50, help="so many in the table (50)")
    parser.add_argument("--summary", action="store_true", help="count them by field and code")
    parser.add_argument("--format", choices=["csv", "ndjson"], help="write all of them so")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write all of them there")
    parser.set_defaults(command=errors)
    told = "the rejected records of an import, as they were sent, to be mended"
    parser = commands.add_parser("rejects", parents=[named], help=told)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="(standard output)")
    told = "xlsx of a csv, csv of an xlsx, either of Parquet"
    parser.add_argument("--format", choices=["csv", "xlsx"], help=told)
    parser.set_defaults(command=rejects)
    parser = commands.add_parser("cancel", parents=[named], help="cancel an import or export")
    parser.set_defaults(command=cancel)
    told = "take up again what an import or export left undone, as a new job"
    parser = commands.add_parser("retry", parents=[named], help=told)
    parser.add_argument("--follow", action="store_true", help="watch it until its end")
    parser.set_defaults(command=retry)


def list_all(settings: Settings, given: argparse.Namespace) -> int:
    """Print the newest jobs."""
    asked = {"limit": str(given.limit)}
    asked |= {n: v for n in ("status", "resource", "kind") if (v := getattr(given, n))}
    page = service(settings, given).ask("GET", "jobs", params=asked)
    if given.json:
        return print_json(page)
    if not page["jobs"]:
        print("there are no such jobs")
        return 0
    print(table([_HEADS, *map(_row, page["jobs"])], right=(4, 5), whole=1))
    return 0


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    records = job["counts"]["received"] if job["kind"] == "import" else job.get("exported")
    return (
        job["job_id"],
        job["outcome"] or job["status"],
        job["resource"] or "-",
        job["kind"] + (" (dry)" if job["dry_run"] else ""),
        number(records),
        number(job["counts"]["rejected"]) if job["kind"] == "import" else "-",
        moment(job["created_at"]),
    )


def show(settings: Settings, given: argparse.Namespace) -> int:
    """Print one job; the exit code is that of its end."""
    remote = service(settings, given)
    return _show(remote, given, find_job(remote, given.job))


def watch(settings: Settings, given: argparse.Namespace) -> int:
    """Watch a job until its end; Ctrl-C leaves it alone."""
    remote = service(settings, given)
    return _watch(remote, given, find_job(remote, given.job))


def _watch(remote: Api, given: argparse.Namespace, job: dict[str, Any]) -> int:
    with bars() as screen:
        screen.rows(job["resource"] or job["kind"])
        try:
            job, _ = follow(remote, job, job["resource"] or job["kind"], screen, cancels=False)
        except KeyboardInterrupt:
            note(f"left; the job goes on: pgsluice jobs follow {job['job_id']}")
            return INTERRUPTED
    return _show(remote, given, job)


def _show(remote: Api, given: argparse.Namespace, job: dict[str, Any]) -> int:
    if given.json:
        print_json(job)
        return report.exit_code(job)
    name = f"{job['kind']} {job['job_id']} of {job['file_name'] or job['resource']}"
    if ended(job):
        report.show(job, name, report.summary_of(remote, job))
    else:
        done = job["progress"]
        print(f"{name}: {job['phase'] or job['status']}, {done['percent']} %")
    return report.exit_code(job)


def errors(settings: Settings, given: argparse.Namespace) -> int:
    """Print errors as a table, count them, or write all of them."""
    remote = service(settings, given)
    job = _import(remote, given.job)
    chosen = {n: v for n in ("field", "code") if (v := getattr(given, n))}
    where = f"imports/{job['job_id']}/errors"
    if given.format or given.output:
        save_errors(remote, job, given.output, given.format, chosen)
        return _saved(given)
    if given.summary:
        found = remote.ask("GET", f"{where}/summary")
        return print_json(found) if given.json else _print(report.error_table(found))
    page = remote.ask("GET", where, params={"limit": str(given.limit), **chosen})
    if given.json:
        return print_json(page)
    if not page["errors"]:
        return _print("there are no such errors")
    rows = [(e["row"], e["field"] or "-", e["code"], e["value"] or "", e["message"])
            for e in page["errors"]]  # fmt: skip
    more = "\nand more: --limit, or -o FILE for all of them" if page["next"] else ""
    return _print(table([("ROW", "FIELD", "CODE", "VALUE", "WHAT"), *rows], right=(0,)) + more)


def rejects(settings: Settings, given: argparse.Namespace) -> int:
    """Write the rejected records."""
    remote = service(settings, given)
    save_rejects(remote, _import(remote, given.job), given.output, given.format)
    return _saved(given)


def cancel(settings: Settings, given: argparse.Namespace) -> int:
    """Cancel a job, whatever it is doing."""
    remote = service(settings, given)
    job = remote.ask("POST", f"{path_of(find_job(remote, given.job))}/cancel")
    counts = job["counts"]
    kept = counts["inserted"] + counts["updated"]
    return tell(given, job, f"{job['kind']} {job['job_id']} is {job['status']}"
                + (f"; {number(kept)} records were written and stay" if kept else ""))  # fmt: skip


def delete(settings: Settings, given: argparse.Namespace) -> int:
    """Remove an ended job and what is kept of it; what it wrote into tables stays."""
    remote = service(settings, given)
    job = find_job(remote, given.job)
    remote.ask("DELETE", path_of(job))
    return tell(given, {"deleted": job["job_id"]}, f"{job['kind']} {job['job_id']} is deleted")


def retry(settings: Settings, given: argparse.Namespace) -> int:
    """Make a new job of what an old one left undone."""
    remote = service(settings, given)
    where = f"{path_of(find_job(remote, given.job))}/retry"
    job = remote.ask("POST", where, headers={"Idempotency-Key": uuid4().hex})
    if given.follow:
        return _watch(remote, given, job)
    return tell(given, job, f"{job['kind']} {job['job_id']} is {job['status']}")


def _import(remote: Api, word: str) -> dict[str, Any]:
    job = find_job(remote, word)
    if job["kind"] != "import":
        raise ClientError(f"job {job['job_id']} is an export, which has no errors of records")
    return job


def _saved(given: argparse.Namespace) -> int:
    """Tell of the file; of standard output and of devices there is nothing to tell."""
    path = given.output
    return tell_file(given, path) if path and str(path) != "-" and path.is_file() else 0


def _print(text: str) -> int:
    print(text)
    return 0
