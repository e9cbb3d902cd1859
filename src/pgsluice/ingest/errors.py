"""Why an upload as a whole is refused.

ProblemError -- IngestError
 +-- MalformedBody   the bytes cannot be read as what they claim to be: 400
 +-- BadOption       an option or header that Python itself must understand is wrong: 400
 +-- TooLarge        more bytes than the service takes: 413
 +-- NoRoom          no room for a temporary file: 503

A single bad record is never one of these: it becomes a reject.
"""

from typing import ClassVar

from ..errors import ProblemError


class IngestError(ProblemError):
    """The upload is refused; its detail says why and what to do."""

    code: ClassVar[int] = 400

    def __init__(self, message: str) -> None:
        super().__init__(self.code, message)


class MalformedBody(IngestError):  # noqa: N818 the name says what happened
    """The body cannot be read; `row` and `line` say where, when that is known."""

    def __init__(self, message: str, row: int | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.row = row
        self.line = line


class BadOption(IngestError):  # noqa: N818 the name says what happened
    """An option or header names something that does not exist."""


class TooLarge(IngestError):  # noqa: N818 the name says what happened
    """The body has more bytes than allowed, counted after decompression."""

    code = 413


class NoRoom(IngestError):  # noqa: N818 the name says what happened
    """A temporary file cannot be written; it may be possible later."""

    code = 503
    seconds: float | None = None
