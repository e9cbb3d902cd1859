"""Which format an upload has, by option, file name or content type."""

from typing import Literal, get_args

import msgspec

from .errors import BadOption

FormatName = Literal["csv", "ndjson", "json", "xlsx", "parquet"]
CompressionName = Literal["gzip", "zstd"]

ACCEPTED = (
    "say format=csv, ndjson, json, xlsx or parquet, or give the file a name that ends in .csv, "
    ".tsv, .ndjson, .jsonl, .json, .xlsx or .parquet (each also with .gz or .zst), or send a "
    "content type text/csv, application/x-ndjson, application/json, "
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet or "
    "application/vnd.apache.parquet"
)
# Formats whose bytes are no text.
BINARY: tuple[FormatName, ...] = ("xlsx", "parquet")
# With what a Parquet file begins.
PARQUET = b"PAR1"

_FORMATS: dict[str, FormatName] = {
    "csv": "csv",
    "tsv": "csv",
    "tab": "csv",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "json": "json",
    "xlsx": "xlsx",
    "xlsm": "xlsx",
    "parquet": "parquet",
    "pq": "parquet",
}
_COMPRESSIONS: dict[str, CompressionName] = {"gz": "gzip", "gzip": "gzip", "zst": "zstd"}
_CONTENT_TYPES: dict[str, FormatName] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/json": "json",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel.sheet.macroenabled.12": "xlsx",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
}


class Format(msgspec.Struct, frozen=True):
    """How to read an upload; `delimiter` is set where the name or type says tab."""

    format: FormatName
    compression: CompressionName | None = None
    delimiter: bytes | None = None


def suffixes() -> dict[str, FormatName]:
    """The endings of file names that say a format, and which each says."""
    return dict(_FORMATS)


def detect(
    option: str | None = None, file_name: str | None = None, content_type: str | None = None
) -> Format:
    """The format of an upload; raises BadOption with what is accepted when nothing says it."""
    stem, compression = _compression(file_name or "")
    suffix = stem.rpartition(".")[2] if "." in stem else ""
    mime = (content_type or "").partition(";")[0].strip().lower()
    tab = b"\t" if suffix in ("tsv", "tab") or mime == "text/tab-separated-values" else None
    if option is not None:
        found = option.strip().lower()
        if found not in get_args(FormatName):
            raise BadOption(f"format {option!r} is not known: {ACCEPTED}")
        return Format(_FORMATS[found], compression, tab if found == "csv" else None)
    if suffix in _FORMATS:
        tab = b"\t" if suffix in ("tsv", "tab") else None
        return Format(_FORMATS[suffix], compression, tab)
    if mime in _CONTENT_TYPES:
        return Format(_CONTENT_TYPES[mime], compression, tab)
    if suffix in ("xls", "xlsb", "ods"):
        raise BadOption(f"{_what(file_name, mime)} cannot be read: save it as .xlsx")
    raise BadOption(f"the format of {_what(file_name, mime)} is not known: {ACCEPTED}")


def _compression(file_name: str) -> tuple[str, CompressionName | None]:
    name = file_name.strip().replace("\\", "/").rpartition("/")[2].lower()
    stem, dot, suffix = name.rpartition(".")
    if dot and suffix in _COMPRESSIONS:
        return stem, _COMPRESSIONS[suffix]
    return name, None


def _what(file_name: str | None, mime: str) -> str:
    if file_name:
        return f"the file {file_name!r}"
    return f"content type {mime!r}" if mime else "the body"
