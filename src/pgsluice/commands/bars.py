"""Progress bars on stderr, where somebody looks at it: bytes on their way, rows of a job."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Shorter than a look; longer than a terminal far away needs.
_FRAMES = 8


class Bars:
    """Bars that move, or nothing at all on a pipe."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def bytes(self, name: str, total: int | None) -> None:
        """Begin a bar of bytes; `total` is None when nobody knows the end."""
        self._add(name, total, "bytes")

    def rows(self, name: str) -> None:
        """Begin a bar of a job: it fills by percent, and tells rows."""
        self._add(name, 100, "rows")

    def advance(self, name: str, step: int) -> None:
        """So many bytes more."""
        if self._progress:
            self._progress.advance(self._tasks[name], step)

    def show(self, name: str, percent: float, **told: Any) -> None:
        """How far a job is, and what else is told of it: rows, rate, phase."""
        if self._progress:
            self._progress.update(self._tasks[name], completed=percent, **told)

    def reset(self, name: str) -> None:
        """A bar that begins anew: a file is sent again."""
        if self._progress:
            self._progress.reset(self._tasks[name])

    def _add(self, name: str, total: int | None, kind: str) -> None:
        if self._progress:
            self._tasks[name] = self._progress.add_task(
                name, total=total, kind=kind, rows=0, rate=None, phase=""
            )


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Bars]:
    """Bars for as long as the block lasts; they stay on the screen as they were at its end."""
    if quiet or not sys.stderr.isatty():
        yield Bars(None)
        return
    from .columns import new_progress

    with new_progress(_FRAMES) as progress:
        yield Bars(progress)
