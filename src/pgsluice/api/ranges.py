"""Range and conditional requests (RFC 9110, 13 and 14) over a file that never changes."""

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

from ..errors import ProblemError

_RANGE = re.compile(
    r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*", re.IGNORECASE
)


class File(NamedTuple):
    """What a reply must say of a file: its size, its strong entity tag, when it was written."""

    size: int
    tag: str
    written: float

    @property
    def last_modified(self) -> str:
        """The time as HTTP writes it."""
        return formatdate(self.written, usegmt=True)


class Span(NamedTuple):
    """Bytes from `start` up to, but without, `end`."""

    start: int
    end: int


def check_version(headers: Mapping[str, str], file: File) -> None:
    """Refuse (412) a request that is meant for another version of the file than this one."""
    if (tags := headers.get("if-match")) is not None:
        # compared strongly: a weak tag names no bytes
        is_meant = tags.strip() == "*" or file.tag in _listed(tags)
    elif (at := _seconds(headers.get("if-unmodified-since"))) is not None:
        is_meant = int(file.written) <= at
    else:
        return
    if not is_meant:
        raise ProblemError(
            412,
            f"the file is another one than the request is meant for; it has the ETag {file.tag}",
            {"ETag": file.tag},
        )


def is_known(headers: Mapping[str, str], file: File) -> bool:
    """Whether the client has this very file: then it gets a 304."""
    if (tags := headers.get("if-none-match")) is not None:
        return tags.strip() == "*" or file.tag in {tag.removeprefix("W/") for tag in _listed(tags)}
    at = _seconds(headers.get("if-modified-since"))
    return at is not None and int(file.written) <= at


def wanted_span(headers: Mapping[str, str], file: File) -> Span | None:
    """The one range that is asked for and can be had; None for the whole file.

    A range of another version of the file, several at once, or what is no range is the whole
    file too. One behind the end is refused (416).
    """
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range")
    if not found or (condition and condition.strip() not in (file.tag, file.last_modified)):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(0, file.size - int(suffix)), file.size
    else:
        start = int(first)
        end = min(int(last) + 1, file.size) if last else file.size
        if last and int(last) < start:
            return None
    if start >= end:
        raise ProblemError(
            416,
            f"the file has {file.size} bytes; ask for a range within them",
            {"Content-Range": f"bytes */{file.size}"},
        )
    return Span(start, end)


def _listed(tags: str) -> set[str]:
    return {tag.strip() for tag in tags.split(",")}


def _seconds(date: str | None) -> float | None:
    """A time as HTTP writes it; None for what is none, which is as if it were not there."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
