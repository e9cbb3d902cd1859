"""The options of an import, from the query and from form fields alike."""

import hashlib
import json
from typing import Any

from ..errors import ProblemError
from .query import Fields

# What receive_begin must know: after the file has gone through they can no longer be honoured.
PARSING = ("format", "file_name", "delimiter", "null", "encoding", "trim", "sheet")

JUDGED = (
    "mode",
    "match",
    "on_duplicate",
    "unknown_fields",
    "mapping",
    "defaults",
    "identity",
    "results",
    "date_order",
    "decimal",
    "atomic",
    "max_errors",
    "max_error_ratio",
    "dry_run",
    "priority",
    "parent",
    "callback_url",
)
# Where a file is fetched from, for a request that brings none.
SOURCES = ("url", "source_path", "object")
KNOWN = ("resource", *PARSING, *JUDGED, *SOURCES)

_OBJECTS = ("mapping", "defaults")
_NOT_OPTIONS = ("resource", "format", "file_name", *SOURCES)


def add_object(fields: Fields, members: dict[str, Any]) -> None:
    """Take the members of a JSON object as if they were fields; null is as good as absent."""
    for name, value in members.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            fields.add(name, ",".join(value))
        elif value is not None:
            fields.add(name, value if isinstance(value, str) else json.dumps(value))


def merge(query: Fields, form: Fields) -> dict[str, str]:
    """Query and form as one; the same option twice must have one value."""
    for name, value in form.values.items():
        if query.values.get(name, value) != value:
            raise ProblemError(
                400, f"{name!r} has one value in the query and another in the form; give it once"
            )
    return query.defaults | query.values | form.values


def for_sql(values: dict[str, str]) -> dict[str, Any]:
    """The options as SQL takes them: text, but for the two that are JSON objects."""
    options: dict[str, Any] = {}
    for name, value in values.items():
        if name in _OBJECTS:
            options[name] = _object(name, value)
        elif name not in _NOT_OPTIONS:
            options[name] = value
    return options


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not _can_be_stored(value):
        raise ProblemError(
            400, f'{name} must be a JSON object such as {{"a": "b"}}, not {text[:80]!r}'
        )
    return value


def _can_be_stored(value: dict[str, Any]) -> bool:
    """False for NUL and for half characters, which JSON can spell and Postgres cannot keep."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text


def fingerprint(values: dict[str, str], content: "hashlib._Hash") -> str:
    """What makes two requests the same: method, options and content; not the file's name."""
    canonical = for_sql(values) | {
        name: values[name] for name in ("resource", "format", *SOURCES) if name in values
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"POST\n{text}\n{content.hexdigest()}".encode()).hexdigest()
