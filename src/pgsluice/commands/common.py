"""What commands share: flags of clients, the service they mean, how they print."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..client import Api, ClientError, api, segment
from ..failures import CommandError
from ..logs import escaped
from ..settings import Settings

# What a command ends with, beside 0 and what argparse says (2).
FAILED = 1
PARTIAL = 3
INTERRUPTED = 130

_NARROWEST = 8


class UsageError(CommandError):
    """What was asked for cannot be meant so; the message says what to give instead."""

    exit_code = 2


def remote_flags() -> argparse.ArgumentParser:
    """The flags of every command that is a client of a service, as a parent parser."""
    flags = argparse.ArgumentParser(add_help=False)
    flags.add_argument("--url", help="where the service is (SLUICE_URL; http://127.0.0.1:8080)")
    told = "file that holds the API key (else SLUICE_API_KEY)"
    flags.add_argument("--key-file", type=Path, metavar="FILE", help=told)
    flags.add_argument("--json", action="store_true", help="print JSON and nothing else")
    return flags


def database_flags() -> argparse.ArgumentParser:
    """The flags of every command that works on the database, as a parent parser."""
    flags = argparse.ArgumentParser(add_help=False)
    flags.add_argument("--data-dir", type=Path, help="of the embedded Postgres (default .pgsluice)")
    return flags


def service(settings: Settings, given: argparse.Namespace) -> Api:
    """The service that the flags and settings name."""
    return api(settings, given.key_file)


def find_job(remote: Api, word: str, kind: str | None = None) -> dict[str, Any]:
    """The job of this id; "last" is the newest (of a kind). ClientError when there is none."""
    if word == "last":
        of_kind = {"kind": kind} if kind else {}
        newest = remote.ask("GET", "jobs", params={"limit": "1", **of_kind})["jobs"]
        if not newest:
            raise ClientError("there are no jobs yet")
        word = newest[0]["job_id"]
    try:
        return dict(remote.ask("GET", f"imports/{segment(word)}"))
    except ClientError as exc:
        if exc.status == 404 and "is an export" in str(exc):
            return dict(remote.ask("GET", f"exports/{segment(word)}"))
        raise


def path_of(job: Mapping[str, Any]) -> str:
    """Where the service answers for a job."""
    return f"{job['kind']}s/{job['job_id']}"


def print_json(reply: Any) -> int:
    """Print a document; 0, for the command to end with."""
    text = msgspec.json.format(msgspec.json.encode(reply)) + b"\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(text)  # UTF-8 whatever the locale says
    sys.stdout.buffer.flush()
    return 0


def tell(given: argparse.Namespace, reply: Any, sentence: str) -> int:
    """Print the reply with --json, else the sentence; 0, for the command to end with."""
    if given.json:
        return print_json(reply)
    print(sentence)
    return 0


def tell_file(given: argparse.Namespace, path: Path) -> int:
    """Print how big the file is that was written; 0, for the command to end with."""
    size = path.stat().st_size
    return tell(given, {"file": str(path), "bytes": size}, f"{path}: {size:,} bytes")


def note(text: str) -> None:
    """A line for whoever looks, on stderr."""
    print(text, file=sys.stderr, flush=True)


def moment(text: str | None) -> str:
    """A time to the second, in UTC."""
    return "-" if text is None else f"{text[:19]}Z"


def number(value: float | None) -> str:
    """A whole number with commas; a dash for none."""
    return "-" if value is None else f"{round(value):,}"


def table(rows: Sequence[Sequence[object]], right: Sequence[int] = (), whole: int = 0) -> str:
    """Rows in columns, the first as heads; `right` are columns of numbers.

    On a terminal that is too narrow the widest columns are cut, but for the first `whole` ones,
    and then the last ones are left out; a pipe gets all of it.
    """
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sys.stdout.isatty():
        widths = _fitted(widths, shutil.get_terminal_size().columns, whole)
    lines = (
        "  ".join(
            _cut(cell, width).rjust(width) if at in right else _cut(cell, width).ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _fitted(widths: list[int], room: int, whole: int) -> list[int]:
    widths = list(widths)
    while sum(widths) + 2 * (len(widths) - 1) > room:
        widest = max(widths[whole:], default=0)
        if widest > _NARROWEST:
            widths[widths.index(widest, whole)] -= 1
        elif len(widths) > max(whole, 1):
            widths.pop()
        else:
            break
    return widths


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}…"


def painted(text: str, colour: str, *, file: Any = None) -> str:
    """The text in a colour of the terminal; as it is on a pipe, and where NO_COLOR is set."""
    on = (file or sys.stdout).isatty() and not os.environ.get("NO_COLOR")
    return (
        f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
        if on and os.environ.get("TERM") != "dumb"
        else text
    )


_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
