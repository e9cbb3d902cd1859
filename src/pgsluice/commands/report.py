"""What became of an import, for people: its counts, its errors in a table, what to do next."""

from pathlib import Path
from typing import Any

from ..client import Api
from .common import PARTIAL, number, painted, table

_COLOURS = {"clean": "green", "partial": "yellow", "failed": "red", "cancelled": "yellow"}
_COUNTS = ("inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed")
_MOST_GROUPS = 20


def exit_code(job: dict[str, Any]) -> int:
    """0 clean, 3 partial, 1 failed or cancelled; 0 for a job that still runs."""
    if job["status"] in ("failed", "cancelled"):
        return 1
    return PARTIAL if job["outcome"] == "partial" else 0


def show(
    job: dict[str, Any], name: str, summary: dict[str, Any] | None, rejects: Path | None = None
) -> None:
    """Print the end of a job; rejects: the file to which its rejected records go."""
    word = job["outcome"] or job["status"]
    told = {"true": " (a dry run: nothing was written)", "write": " (a dry run: rolled back)"}
    dry = told["write"] if job["dry_run"] == "write" else told["true"] if job["dry_run"] else ""
    print(f"{name}: {painted(word, _COLOURS.get(word, 'bold'))}{dry}, {_speed(job)}")
    if job["kind"] == "import":
        print(f"  {_counts(job)}")
        if job["status"] == "cancelled":
            print(f"  {_kept(job)}")
    elif job["status"] == "completed":
        print(f"  {number(job['exported'])} records, {number(job['bytes'])} bytes")
    if job["error"] and job["status"] != "completed":
        print(f"  {job['error'].get('detail') or job['error'].get('title')}")
    if summary and summary["groups"]:
        print()
        print(error_table(summary))
    if job["outcome"] == "partial":
        here = f"pgsluice rejects {job['job_id']} -o rejects.{job['format']}"
        print(f"\nto mend them: {f'edit {rejects}, then import it' if rejects else here}")


def error_table(summary: dict[str, Any]) -> str:
    """The errors of a job counted by field and code, the most frequent first."""
    rows: list[tuple[object, ...]] = [("FIELD", "CODE", "RECORDS", "WHAT", "FOR EXAMPLE")]
    found = [
        (group["field"] or "-", group["code"], kind)
        for group in summary["groups"]
        for kind in group["constraints"]
    ]
    for field, code, kind in found[:_MOST_GROUPS]:
        example = kind["example"]
        value = "" if example["value"] is None else f": {example['value']}"
        where = f"row {example['row']}{value}"
        rows.append((field, code, number(kind["records"]), kind["message"], where[:60]))
    more = len(found) - _MOST_GROUPS
    return table(rows, right=(2,)) + (f"\nand {more} kinds more" if more > 0 else "")


def summary_of(remote: Api, job: dict[str, Any]) -> dict[str, Any] | None:
    """The errors of an import counted, if it has any."""
    if job["kind"] != "import" or not job["counts"]["rejected"]:
        return None
    found: dict[str, Any] = remote.ask("GET", f"imports/{job['job_id']}/errors/summary")
    return found


def _counts(job: dict[str, Any]) -> str:
    counts = job["counts"]
    told = [f"{number(counts[name])} {name}" for name in _COUNTS if counts[name]]
    what = "record" if counts["received"] == 1 else "records"
    return f"{number(counts['received'])} {what}" + (f": {', '.join(told)}" if told else "")


def _kept(job: dict[str, Any]) -> str:
    counts = job["counts"]
    if not (kept := counts["inserted"] + counts["updated"]):
        return "nothing was written"
    return f"{number(kept)} records were written before that, and stay"


def _speed(job: dict[str, Any]) -> str:
    metrics = job["metrics"] or {}
    took = (metrics.get("duration_ms") or 0) / 1000
    rate = metrics.get("rows_per_second")
    return f"{took:.1f} s" + (f", {number(rate)} rows/s" if rate else "")
