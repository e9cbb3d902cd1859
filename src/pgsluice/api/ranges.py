"""Range and conditional requests (RFC 9110, 13 and 14) over a file that never changes."""

import re
from collections.abc import Mapping
from email.utils import formatdate
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


def is_known(headers: Mapping[str, str], file: File) -> bool:
    """Whether the client has this very file: then it gets a 304."""
    if (tags := headers.get("if-none-match")) is not None:
        return tags.strip() == "*" or file.tag in _tags(tags)
    return headers.get("if-modified-since") == file.last_modified


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


def _tags(text: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in text.split(",")}
