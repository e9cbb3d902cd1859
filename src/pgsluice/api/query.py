"""Query parameters and form fields: each name known, each given once, aliases folded."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from urllib.parse import parse_qsl
from uuid import UUID

from ..errors import ProblemError

# Names of the earlier systems, beside camelCase, which is always understood.
_ALIASES = {
    "resource_type": "resource",
    "parent_id": "parent",
    "parent_job_id": "parent",
    "file_url": "url",
    "filename": "file_name",
}
_HALF = re.compile(r"[\ud800-\udfff]")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def canonical(name: str, known: Iterable[str]) -> str | None:
    """The known name that this one stands for: itself, in camelCase, or of an earlier system."""
    known, snake = tuple(known), _snake(name)
    candidates = (name, snake, _ALIASES.get(snake))
    return next((candidate for candidate in candidates if candidate in known), None)


def _snake(name: str) -> str:
    return _HUMP.sub(r"_\1", name).lower().replace("-", "_")


class Fields:
    """Named values as text, under their canonical names, in the order they came."""

    def __init__(self, known: Iterable[str], *, where: str, is_open: bool = False) -> None:
        self.known = tuple(known)
        self.values: dict[str, str] = {}
        self.defaults: dict[str, str] = {}
        self._where = where
        self._is_open = is_open

    def add(self, name: str, value: str) -> str:
        """Take one more value and return its canonical name; refuse what is unknown or at odds."""
        canonical = self._canonical(name)
        if "\x00" in name or "\x00" in value:
            raise ProblemError(400, f"{self._where} {name!r} holds a NUL byte; take it out")
        if _HALF.search(name) or _HALF.search(value):
            # JSON can spell half a character; nothing can store it.
            raise ProblemError(400, f"{self._where} {name!r} holds a lone surrogate; take it out")
        if self.values.get(canonical, value) != value:
            raise ProblemError(400, f"{name!r} is given twice with different values; give it once")
        self.values[canonical] = value
        return canonical

    def _canonical(self, name: str) -> str:
        if found := canonical(name, self.known):
            return found
        if self._is_open:
            return name
        snake = _snake(name)
        near = get_close_matches(snake, self.known, n=1, cutoff=0.5)
        known = f"known here: {', '.join(sorted(self.known))}" if self.known else "it takes none"
        hint = f"did you mean {near[0]!r}?" if near else known
        raise ProblemError(400, f"unknown {self._where} {name!r}; {hint}")

    def get(self, name: str) -> str | None:
        """The value as sent, or None."""
        return self.values.get(name)

    def whole(self, name: str, low: int, high: int) -> int | None:
        """The value as a whole number within its range, or None."""
        text = self.values.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ProblemError(
                400, f"{name} must be a whole number from {low} to {high}, not {text!r}"
            )
        return int(text)

    def choice(self, name: str, options: Iterable[str], default: str) -> str:
        """The value if it is one of the options; the default if it is absent."""
        text = self.values.get(name)
        if text is None:
            return default
        if text not in (allowed := tuple(options)):
            raise ProblemError(400, f"{name} must be one of {', '.join(allowed)}, not {text!r}")
        return text

    def rest(self) -> dict[str, str]:
        """What stands under names that are not known here (filters)."""
        return {name: value for name, value in self.values.items() if name not in self.known}


def parse_query(raw: bytes, known: Iterable[str], *, is_open: bool = False) -> Fields:
    """The parameters of a query string; a name that is not known is refused unless `is_open`."""
    fields = Fields(known, where="query parameter", is_open=is_open)
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise ProblemError(
            400, "the query string is not UTF-8 text; percent-encode it as UTF-8"
        ) from None
    for name, value in pairs:
        fields.add(name, value)
    return fields


def parse_id(text: str) -> UUID:
    """A job's id from the path; what is no UUID names no job."""
    try:
        return UUID(text)
    except ValueError:
        raise ProblemError(
            404, f"job {text!r} does not exist; GET the list of jobs to see which do"
        ) from None


def parse_list(text: str | None) -> list[str] | None:
    """A comma-separated list, or None when absent."""
    if text is None:
        return None
    return [word.strip() for word in text.split(",")]
