"""Texts as Postgres writes them become typed arrays of Arrow, exactly or not at all."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import compute as pc

from .confine import RefusedError
from .days import days_of, micros_of

_TIME = re.compile(r"([01]\d|2[0-3]):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_NIL = "00000000-0000-0000-0000-000000000000"


class Kind(msgspec.Struct):
    """What SQL says of a value."""

    kind: str
    precision: int = 0
    scale: int = 0
    of: "Kind | None" = None


class Column(Kind):
    """The same of a column."""

    name: str = ""


Make = Callable[[pa.Array], pa.Array]


def type_of(kind: Kind) -> pa.DataType:
    """The type of an array of this kind."""
    if kind.kind == "list" and kind.of is not None:
        return pa.list_(pa.field("element", type_of(kind.of)))
    if kind.kind == "decimal":
        make = pa.decimal128 if kind.precision <= 38 else pa.decimal256
        return make(kind.precision, kind.scale)
    return _TYPES[kind.kind]


def values(texts: pa.Array, kind: Kind) -> pa.Array:
    """The array of these texts; ValueError or ArrowInvalid for one that the kind does not hold."""
    if kind.kind == "list" and kind.of is not None:
        return _lists(texts, kind.of)
    if make := _MAKERS.get(kind.kind):
        return make(texts)
    return pc.cast(texts, type_of(kind))


def refusal(texts: pa.Array, column: Column, first: int) -> RefusedError:
    """Which of the texts it is, and what to do; `first`: the row of the first of them."""
    for at, text in enumerate(texts, first):
        try:
            values(pa.array([text.as_py()], pa.string()), column)
        except (ValueError, pa.ArrowException):
            shown = text.as_py()[:80]
            return RefusedError(
                f"row {at} of the export has {shown!r} in {column.name}, and no {_named(column)} "
                "of Parquet can be that: leave the field out, filter such rows away, or ask for "
                "csv or ndjson"
            )
    return RefusedError(f"{column.name} cannot be written as {_named(column)} of Parquet")


def _named(kind: Kind) -> str:
    if kind.kind == "list" and kind.of is not None:
        return f"list of {_named(kind.of)}"
    if kind.kind == "decimal":
        return f"decimal({kind.precision},{kind.scale})"
    return kind.kind


def _booleans(texts: pa.Array) -> pa.Array:
    # an element of an array is a whole word
    return pc.starts_with(texts, "t")


def _dates(texts: pa.Array) -> pa.Array:
    try:
        return pc.cast(texts, pa.date32())
    except pa.ArrowInvalid:
        return _each(texts, days_of, pa.int32()).cast(pa.date32())


def _moments(texts: pa.Array, zone: str | None) -> pa.Array:
    kind = pa.timestamp("us", zone)
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        return _each(texts, micros_of, pa.int64()).cast(kind)


def _clock(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    seconds = 3600 * int(found[1]) + 60 * int(found[2]) + int(found[3])
    return seconds * 1_000_000 + int((found[4] or "").ljust(6, "0"))


def _each(texts: pa.Array, make: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    made = [None if text is None else make(text) for text in texts.to_pylist()]
    try:
        return pa.array(made, kind)
    except OverflowError as exc:
        raise ValueError(str(exc)) from exc


def _uuids(texts: pa.Array) -> pa.Array:
    # all have the same length: their bytes are read as one text
    digits = pc.replace_substring(pc.fill_null(texts, _NIL), "-", "")
    text = digits.buffers()[2].to_pybytes()[: 32 * len(texts)].decode() if len(texts) else ""
    data = bytes.fromhex(text)
    if len(data) != 16 * len(texts):
        raise ValueError("no uuids")
    plain = pa.Array.from_buffers(pa.binary(16), len(texts), [None, pa.py_buffer(data)])
    if texts.null_count:
        plain = pc.if_else(pc.is_valid(texts), plain, pa.scalar(None, pa.binary(16)))
    return pa.ExtensionArray.from_storage(pa.uuid(), plain)


def _binaries(texts: pa.Array) -> pa.Array:
    return _each(texts, lambda text: bytes.fromhex(text.removeprefix("\\x")), pa.binary())


def _json(texts: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.json_(), texts)


def _lists(texts: pa.Array, of: Kind) -> pa.Array:
    """Arrays, each a JSON array of texts; one of more dimensions is a ValueError."""
    offsets: list[int | None] = []
    inner: list[str | None] = []
    for text in texts.to_pylist():
        if text is None:
            offsets.append(None)
            continue
        offsets.append(len(inner))
        inner += msgspec.json.decode(text, type=list[str | None])
    offsets.append(len(inner))
    made = values(pa.array(inner, pa.string()), of)
    kind = pa.list_(pa.field("element", type_of(of)))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), made, type=kind)


_TYPES: dict[str, pa.DataType] = {
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "uuid": pa.uuid(),
    "binary": pa.binary(),
    "json": pa.json_(),
    "text": pa.string(),
}
_MAKERS: dict[str, Make] = {
    "boolean": _booleans,
    "date": _dates,
    "time": lambda texts: _each(texts, _clock, pa.time64("us")),
    "timestamp": lambda texts: _moments(texts, None),
    "timestamptz": lambda texts: _moments(texts, "UTC"),
    "uuid": _uuids,
    "binary": _binaries,
    "json": _json,
    "text": lambda texts: texts,
}
