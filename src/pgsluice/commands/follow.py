"""Following a job to its end, through lost connections; Ctrl-C asks the service to cancel it."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..client import Api, BrokenError, ClientError, UnreachableError
from .bars import Bars
from .common import note, path_of

_ENDED = ("completed", "failed", "cancelled")
# The service sends a sign of life each 15 seconds.
_SILENCE_SECONDS = 45.0
# How long a service that has gone may stay away: it is restarted in less.
_PATIENCE_SECONDS = 60.0


def ended(job: dict[str, Any]) -> bool:
    """Whether nothing more will happen to a job."""
    return job["status"] in _ENDED


def follow(
    remote: Api, job: dict[str, Any], bar: str, screen: Bars, *, cancels: bool = True
) -> tuple[dict[str, Any], bool]:
    """The job as it ended, shown on its bar meanwhile, and whether Ctrl-C was pressed.

    The first Ctrl-C asks the service to cancel it and waits for that; KeyboardInterrupt at the
    second, and at the first for one who only looks (`cancels=False`).
    """
    try:
        return _until_end(remote, job, bar, screen), False
    except KeyboardInterrupt:
        if not cancels:
            raise
        note("asking the service to cancel; Ctrl-C again leaves at once")
    try:
        remote.ask("POST", f"{path_of(job)}/cancel")
    except ClientError as exc:
        if exc.status != 409:  # it has ended meanwhile
            raise
    return _until_end(remote, job, bar, screen), True


def _until_end(remote: Api, job: dict[str, Any], bar: str, screen: Bars) -> dict[str, Any]:
    last_seen = time.monotonic()
    while True:
        try:
            for state in _events(remote, job):
                last_seen = time.monotonic()
                show(state, bar, screen)
            found: dict[str, Any] = remote.ask("GET", path_of(job))
            if ended(found):
                show(found, bar, screen)
                return found
        except (BrokenError, UnreachableError) as exc:
            if time.monotonic() - last_seen > _PATIENCE_SECONDS:
                raise ClientError(
                    f"{exc}. The job goes on without us, as soon as the service is back: "
                    f"pgsluice jobs follow {job['job_id']}"
                ) from exc
        time.sleep(0.5)


def _events(remote: Api, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the service tells of the job, until it has told of its end or hangs up."""
    with remote.stream(f"{path_of(job)}/events", seconds=_SILENCE_SECONDS) as reply:
        for line in _lines(reply.iter_bytes()):
            if line.startswith(b"data: "):
                yield msgspec.json.decode(line.removeprefix(b"data: "))


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines as LF ends them: what a record holds may look like the end of one to Python."""
    held = b""
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        yield from lines


def show(job: dict[str, Any], bar: str, screen: Bars) -> None:
    """Put the state of a job on its bar."""
    screen.show(
        bar,
        job["progress"]["percent"],
        rows=job["progress"]["rows"] or 0,
        rate=(job["metrics"] or {}).get("rows_per_second"),
        phase=job["phase"] or job["status"],
    )
