"""The options of an import, and where its file may stand, as parameters of the OpenAPI document."""

from ..models import Schema
from .openapi import enum, flag, parameter


def _one_of(*values: str) -> Schema:
    return enum(*values, default=values[0])


OPTIONS = (
    parameter("resource", "what to import into; here or in the form", example="users"),
    parameter(
        "format",
        "default: by file name, else by content type",
        {"type": "string", "enum": ["csv", "ndjson", "json", "xlsx", "parquet"]},
    ),
    parameter("file_name", "what the file is called, for a raw body"),
    parameter(
        "mode",
        "`insert`: a record whose row is there is `exists`; `update`: one without a row is "
        "`missing`; `upsert` does both",
        _one_of("upsert", "insert", "update"),
    ),
    parameter(
        "match",
        "keys by which records find their rows, in this order; columns of one key are tied by +, "
        "as in region+code. Default: the primary key, then each unique key",
        example="id,email",
    ),
    parameter(
        "on_duplicate",
        "of records with one key: reject the later ones, or keep the first or the last and drop "
        "the others",
        _one_of("reject", "first", "last"),
    ),
    parameter(
        "unknown_fields",
        "names that no field has: refuse them, or pass over them",
        _one_of("reject", "ignore"),
    ),
    parameter(
        "mapping",
        "JSON object: name in the file -> field; null leaves it out; addresses.zip is the zip of "
        "each address in a record's list",
        example='{"e-mail": "email"}',
    ),
    parameter(
        "defaults",
        "JSON object: values for fields that a new row's record lacks",
        example='{"role": "reader"}',
    ),
    parameter(
        "identity",
        "of `generated always as identity` columns: `keep` writes the values that are given",
        _one_of("generate", "keep"),
    ),
    parameter("results", "keep the outcome of each good record", flag()),
    parameter(
        "null",
        "the unquoted cell that means null; a quoted one is a text. Default: the empty cell",
    ),
    parameter(
        "delimiter",
        "of a CSV file; `tab`, `comma`, `semicolon` and `pipe` are understood too. Default: as its "
        "header has it",
        enum(",", ";", "|", "\t"),
    ),
    parameter(
        "encoding",
        "of the file. Default: UTF-8, or UTF-16 by its byte order mark",
    ),
    parameter("trim", "cut blanks around cells; a cell left empty is null", flag()),
    parameter(
        "sheet",
        "of a workbook, by its name. Default: the first that shows",
    ),
    parameter(
        "date_order",
        "how 01/02/2024 reads; with `ymd` such a date is an error",
        _one_of("ymd", "dmy", "mdy"),
    ),
    parameter("decimal", "the decimal mark of numbers", _one_of(".", ",")),
    parameter("atomic", "all records or none", flag()),
    parameter(
        "max_errors",
        "rejects that are kept, at most; all are counted. Default: 100000",
        {"type": "integer", "minimum": 0, "maximum": 2147483647},
    ),
    parameter(
        "max_error_ratio",
        "share of rejects past which the job fails before anything is written",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    parameter(
        "dry_run",
        "`true`: everything up to the merge, with exact counts and a sample of differences; "
        "`write`: merge too and roll back (at most 100,000 records)",
        _one_of("false", "true", "write"),
    ),
    parameter(
        "priority",
        "`interactive`: at most 1,000 records, which may pass between the steps of a larger job",
        _one_of("normal", "interactive"),
    ),
    parameter(
        "parent",
        "the import that this file mends",
        {"type": "string", "format": "uuid"},
    ),
    parameter(
        "callback_url",
        "https URL that is posted the job when it has ended, signed as Standard Webhooks has it",
        example="https://example.org/hook",
    ),
)
SOURCES = (
    parameter("url", "https URL of the file, in place of a body", {"type": "string"}),
    parameter("source_path", "path of the file under SLUICE_IMPORT_DIR, in place of a body"),
    parameter("object", "path of the file in the file store, below imports/"),
)
