"""Schemas of the OpenAPI document as lists that people read."""

from typing import Any

from .markdown import bullets, member, page, prose, sentence

Schema = dict[str, Any]
# Below this depth an object is described where it stands, in one line.
_DEEPEST = 3


def objects_page(document: Schema) -> str:
    """docs/reference/http/objects.md."""
    about = (
        "What requests and replies are made of, as JSON. A field that may be absent says so; all "
        "others are always there. Times are UTC, as in `2026-01-05T12:00:00.133000Z`; ids of jobs "
        "are UUIDs."
    )
    parts = [about]
    for name, schema in document["components"]["schemas"].items():
        parts += [f"## {name}", sentence(prose(schema.get("description", "")))]
        if "properties" in schema:
            parts.append(bullets(_members(schema)))
        else:
            parts.append(f"{kind_of(schema)}.")
    return page("Objects of the HTTP API", *parts)


def _members(schema: Schema, depth: int = 0) -> list[str]:
    lines = []
    for name, inner in schema["properties"].items():
        kind = kind_of(inner) + ("" if name in schema.get("required", ()) else ", may be absent")
        line = member(name, kind, prose(inner.get("description", "")))
        lines.append("  " * depth + ("- " if depth else "") + line)
        deeper = inner.get("items", inner)
        if depth < _DEEPEST and isinstance(deeper, dict) and "properties" in deeper:
            lines += _members(deeper, depth + 1)
    return lines if depth else _joined(lines)


def _joined(lines: list[str]) -> list[str]:
    """Lines below a member belong to its bullet."""
    found: list[str] = []
    for line in lines:
        if line.startswith(" "):
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def kind_of(schema: Schema, objects: str = "") -> str:
    """The type of a value in words; `objects` is where the named ones are described."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}]({objects}#{name.lower()})"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(kind_of(one, objects) for one in schema[word])
    if "const" in schema:
        return f"`{_json(schema['const'])}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{_json(value)}`" for value in schema["enum"])
    kinds = schema.get("type", "any")
    words = [
        _word(kind, schema, objects) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ]
    return " or ".join(words)


def default_of(schema: Schema) -> str:
    """The default of a value, as code."""
    return f"`{_json(schema['default'])}`"


def _word(kind: str, schema: Schema, objects: str) -> str:
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}), objects)}"
    form = {"date-time": "time", "uuid": "UUID", "binary": "bytes"}.get(schema.get("format", ""))
    if kind == "string":
        return form or "text"
    words = {"integer": "whole number", "boolean": "true or false", "any": "any JSON"}
    return f"{words.get(kind, kind)}{_bounds(schema) if kind in ('integer', 'number') else ''}"


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None:
        return f" from {least or 0:,} to {most:,}"
    return f" from {least:,}" if least else ""


def _json(value: Any) -> str:
    words = {True: "true", False: "false", None: "null", "\t": "\\t"}
    return words[value] if isinstance(value, bool | None) or value == "\t" else str(value)
