"""Values of Arrow as Postgres reads them: what pyarrow's CSV writer writes so is left to it."""

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import msgspec
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import types

from .confine import RefusedError
from .days import date_text, moment_text

_PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_YEAR_1, _YEAR_10000 = -719_162, 2_932_897  # in days; beyond them Arrow writes what nobody reads

_BINARIES = (
    types.is_binary,
    types.is_large_binary,
    types.is_fixed_size_binary,
    types.is_binary_view,
)

_json_string = msgspec.json.encode


def cells(array: pa.Array, point: str) -> pa.Array:
    """An array that the CSV writer writes as Postgres reads it; `point` stands in its numbers."""
    kind = array.type
    if types.is_dictionary(kind):
        return cells(array.dictionary_decode(), point)
    if types.is_floating(kind) or types.is_decimal(kind):
        array = array.cast(pa.float32()) if types.is_float16(kind) else array
        if point == ".":
            return array
        return pc.replace_substring(pc.cast(array, pa.string()), ".", point)
    if make := _maker(kind):
        return make(array)
    if isinstance(kind, pa.BaseExtensionType):
        return cells(array.storage, point)
    return array


def _maker(kind: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:
    """How to make what Arrow writes not at all, or in another way."""
    if types.is_date(kind):
        return _dates
    if types.is_timestamp(kind):
        return _moments
    if types.is_duration(kind):
        return _durations
    if types.is_nested(kind):
        return _nested
    if isinstance(kind, pa.UuidType):
        return lambda array: _uuids(array.storage)
    if kind == pa.string_view():
        return lambda array: pc.cast(array, pa.large_string())
    if any(fits(kind) for fits in _BINARIES):
        return _hex
    return None


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are texts."""
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def json_texts(array: pa.Array) -> list[str]:
    """Each value as JSON, numbers with all their digits."""
    kind = array.type
    if types.is_dictionary(kind):
        return json_texts(array.dictionary_decode())
    if types.is_map(kind):
        pair = pa.struct([pa.field("key", kind.key_type, False), ("value", kind.item_type)])
        return list(_lists(array.cast(pa.list_(pair)), is_map=True))
    if types.is_nested(kind) and not types.is_struct(kind) and not types.is_union(kind):
        return list(_lists(array, is_map=False))
    if types.is_struct(kind):
        return list(_structs(array))
    if types.is_union(kind) or types.is_null(kind):
        if types.is_null(kind):
            return ["null"] * len(array)
        raise RefusedError(f"columns of type {kind} cannot be read: write them as texts")
    if _is_json(kind):
        return [_checked(text) for text in array.storage.to_pylist()]
    return list(_scalars(array))


def _lists(array: pa.Array, *, is_map: bool) -> Iterator[str]:
    lengths = pc.list_value_length(array).to_pylist()
    inner = pc.list_flatten(array)
    if is_map:
        keys, values = inner.flatten()
        named = zip(_keys(keys), json_texts(values), strict=True)
        texts = iter([f"{key}:{value}" for key, value in named])
    else:
        texts = iter(json_texts(inner))
    first, last = "{}" if is_map else "[]"
    for length in lengths:
        yield "null" if length is None else first + ",".join(islice(texts, length)) + last


def _keys(array: pa.Array) -> Iterator[str]:
    for text in json_texts(array):
        yield text if text.startswith('"') else _json_string(text).decode()


def _structs(array: pa.Array) -> Iterator[str]:
    names = [_json_string(field.name).decode() for field in array.type]
    columns = [json_texts(child) for child in array.flatten()]
    nulls = array.is_null().to_pylist()
    rows = zip(*columns, strict=True) if columns else ((),) * len(array)
    for values, null in zip(rows, nulls, strict=True):
        pairs = (f"{name}:{value}" for name, value in zip(names, values, strict=True))
        yield "null" if null else "{" + ",".join(pairs) + "}"


def _scalars(array: pa.Array) -> Iterator[str]:
    kind = array.type
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_decimal(kind):
        for text in pc.cast(array, pa.string()).to_pylist():
            yield "null" if text is None else text
        return
    made = cells(array, ".")
    if types.is_floating(kind):
        for text in pc.cast(made, pa.string()).to_pylist():
            # JSON has no words for these
            is_number = text is not None and text[-1] not in "nf"
            yield text if is_number else _json_string(text).decode()
        return
    if not is_text(made.type):
        made = pc.cast(made, pa.string())
    for text in made.to_pylist():
        yield _json_string(text).decode()


def _checked(text: str | None) -> str:
    """What is said to be JSON, as a text if it is none."""
    if text is None:
        return "null"
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _json_string(text).decode()
    return text


def _is_json(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.json"


def _dates(array: pa.Array) -> pa.Array:
    array = array.cast(pa.date32())
    days = array.cast(pa.int32())
    if _is_within(days, _YEAR_1, _YEAR_10000):
        return array
    return pa.array([None if n is None else date_text(n) for n in days.to_pylist()], pa.string())


def _moments(array: pa.Array) -> pa.Array:
    kind, size = array.type, _PER_SECOND[array.type.unit]
    zone = "" if kind.tz is None else "+00"
    values = array.cast(pa.int64())
    if _is_within(values, _YEAR_1 * 86_400 * size, _YEAR_10000 * 86_400 * size):
        # whatever the zone, what is stored is UTC; Arrow is slow where it has to look at one
        texts = pc.cast(values.cast(pa.timestamp(kind.unit)), pa.string())
        texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
        return pc.binary_join_element_wise(texts, "Z", "") if zone else texts
    texts = (None if n is None else moment_text(n, size, zone) for n in values.to_pylist())
    return pa.array(texts, pa.string())


def _is_within(values: pa.Array, least: int, beyond: int) -> bool:
    ends = pc.min_max(values)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    return low is None or (low >= least and high < beyond)


def _uuids(array: pa.Array) -> pa.Array:
    count = len(array)
    if not count:
        return pa.array([], pa.string())
    data = array.buffers()[1].slice(16 * array.offset, 16 * count).to_pybytes()
    digits = pa.Array.from_buffers(pa.binary(32), count, [None, pa.py_buffer(data.hex().encode())])
    texts = digits.cast(pa.binary()).cast(pa.string())
    ends = pairwise((0, 8, 12, 16, 20, 32))
    parts = [pc.utf8_slice_codeunits(texts, start, end) for start, end in ends]
    joined = pc.binary_join_element_wise(*parts, "-")
    return pc.if_else(array.is_valid(), joined, pa.scalar(None, pa.string()))


def _nested(array: pa.Array) -> pa.Array:
    pairs = zip(json_texts(array), array.is_null().to_pylist(), strict=True)
    return pa.array((None if null else text for text, null in pairs), pa.large_string())


def _hex(array: pa.Array) -> pa.Array:
    values = array.to_pylist()
    return pa.array(
        (None if value is None else f"\\x{value.hex()}" for value in values), pa.large_string()
    )


def _durations(array: pa.Array) -> pa.Array:
    digits = len(str(_PER_SECOND[array.type.unit])) - 1
    values = array.cast(pa.int64()).to_pylist()
    texts = (None if value is None else _seconds(value, digits) for value in values)
    return pa.array(texts, pa.string())


def _seconds(value: int, digits: int) -> str:
    whole, part = divmod(abs(value), 10**digits)
    fraction = f".{part:0{digits}}" if digits else ""
    return f"{'-' if value < 0 else ''}{whole}{fraction} seconds"
