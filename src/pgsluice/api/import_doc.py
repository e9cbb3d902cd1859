"""How POST imports is described in the OpenAPI document."""

from ..examples import JOB_EXAMPLE, PENDING_EXAMPLE
from ..models import Schema
from .life_doc import OTHER_PAYLOAD
from .openapi import (
    ACCEPT_PROFILE,
    IDEMPOTENCY_KEY,
    PREFER,
    XLSX,
    enum,
    flag,
    job_links,
    operation,
    or_null,
    parameter,
    refused,
    shapes,
    told,
)


def _one_of(*values: str) -> Schema:
    return enum(*values, default=values[0])


_OPTIONS = (
    parameter("resource", "which resource; required here or in the form", example="users"),
    parameter(
        "format",
        "default: by file name, else by content type",
        {"type": "string", "enum": ["csv", "ndjson", "json", "xlsx"]},
    ),
    parameter("file_name", "name of the file, for a raw body"),
    parameter("mode", "insert and update, or one of them", _one_of("upsert", "insert", "update")),
    parameter("match", "keys to match by, in this order", example="id,email"),
    parameter("on_duplicate", "records with one key", _one_of("reject", "first", "last")),
    parameter("unknown_fields", "fields no column has", _one_of("reject", "ignore")),
    parameter("mapping", "JSON object: file field -> field", example='{"e-mail": "email"}'),
    parameter("defaults", "JSON object: values for inserted rows", example='{"role": "reader"}'),
    parameter("identity", "keep writes ids of identity columns", _one_of("generate", "keep")),
    parameter("results", "keep the outcome of each good record", flag()),
    parameter("null", "the unquoted cell that means null; default: empty"),
    parameter("delimiter", "default: as the header has it", enum(",", ";", "|", "\t")),
    parameter("encoding", "of the file; default: UTF-8, or by its byte order mark"),
    parameter("trim", "cut white space around cells", flag()),
    parameter("sheet", "of a workbook, by its name; default: the first that shows"),
    parameter("date_order", "of dates such as 03.04.2026", _one_of("ymd", "dmy", "mdy")),
    parameter("decimal", "the decimal mark", _one_of(".", ",")),
    parameter("atomic", "all records or none", flag()),
    parameter(
        "max_errors",
        "rejects to keep before the job fails",
        {"type": "integer", "minimum": 0, "maximum": 2147483647},
    ),
    parameter(
        "max_error_ratio",
        "share of rejects past which the job fails",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    parameter("dry_run", "report without writing", _one_of("false", "true", "write")),
    parameter("priority", "interactive passes larger jobs", _one_of("normal", "interactive")),
    parameter("parent", "the job whose rejects these are", {"type": "string", "format": "uuid"}),
    parameter(
        "callback_url",
        "https URL that is posted the job when it has ended",
        example="https://example.org/hook",
    ),
)
_SOURCES = (
    parameter("url", "https URL of the file, in place of a body", {"type": "string"}),
    parameter("source_path", "path of the file under SLUICE_IMPORT_DIR, in place of a body"),
    parameter("object", "path of the file in the file store, below imports/"),
)
_HEADERS = (
    IDEMPOTENCY_KEY,
    PREFER,
    parameter("Content-Encoding", "of a raw body", enum("gzip", "zstd", "identity"), "header"),
    ACCEPT_PROFILE,
)
_FORM: Schema = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "the file, compressed or not",
        },
        **{option["name"]: option["schema"] for option in (*_OPTIONS, *_SOURCES)},
    },
    "additionalProperties": False,
}
_FIELDS: Schema = {
    "type": "object",
    "required": ["resource"],
    "properties": {option["name"]: option["schema"] for option in (*_OPTIONS, *_SOURCES)},
    "additionalProperties": False,
    "description": "without a file: with url, source_path or object",
}
_REQUEST: Schema = {
    "type": "object",
    "required": ["resource"],
    "properties": {
        option["name"]: {"description": option["description"]}
        | (option["schema"] if option["name"] == "resource" else or_null(option["schema"]))
        for option in (*_OPTIONS, *_SOURCES)
    },
    "additionalProperties": False,
}
_BYTES: Schema = {"type": "string", "format": "binary"}
_RECORDS: Schema = {"type": "array", "items": {"type": "object"}}
_SHAPES = ("ImportJob", "RealworldJob", "NestJob")
_MADE = ("Location", "Retry-After", "Preference-Applied", "Vary", "Idempotent-Replayed")

POST = operation(
    "Import a file",
    "imports",
    shapes(*_SHAPES, example=JOB_EXAMPLE),
    *_OPTIONS,
    *_SOURCES,
    *_HEADERS,
    refusals=(408, 413),
    headers=_MADE,
    why="it had ended within the time of Prefer",
    links=job_links("import"),
    description="The file is the body itself or the part `file` of a form; options stand in the "
    "query or in the form, before or behind the file (delimiter, null, encoding, trim and "
    "sheet: before). Or it stands elsewhere: then `url`, `source_path` or `object` says where, in "
    "the query, in a form, or in a JSON object with the options, and a worker fetches it. Its "
    "format is `format`, else told by its name (.csv, .tsv, .ndjson, .jsonl, .json, .xlsx, each "
    "also .gz or .zst), else by the content type. 202 with the job; with `Prefer: wait=N` 200 once "
    "it has ended.",
    requestBody={
        "content": {
            "text/csv": {
                "schema": _BYTES,
                "example": "email,name,role\nann@example.org,Ann,reader\n",
            },
            "application/x-ndjson": {
                "schema": _BYTES,
                "example": '{"email": "ann@example.org", "name": "Ann", "role": "reader"}\n',
            },
            XLSX: {"schema": _BYTES},
            "application/json": {
                "schema": {"oneOf": [_RECORDS, _REQUEST]},
                "examples": {
                    "records": {
                        "summary": "the file itself",
                        "value": [{"email": "ann@example.org", "name": "Ann", "role": "reader"}],
                    },
                    "url": {
                        "summary": "where the file is",
                        "value": {"resource": "users", "url": "https://example.org/users.csv.gz"},
                    },
                },
            },
            "application/x-www-form-urlencoded": {
                "schema": _FIELDS,
                "example": {"resource": "users", "source_path": "users.csv"},
            },
            "multipart/form-data": {
                "schema": _FORM,
                "example": {"file": "email,name\nann@example.org,Ann\n", "resource": "users"},
                "encoding": {
                    "file": {
                        "contentType": f"text/csv, application/x-ndjson, application/json, {XLSX}"
                    }
                },
            },
        },
    },
    responses={
        "202": told(
            "accepted: the job is queued",
            *_MADE,
            content=shapes(*_SHAPES, example=PENDING_EXAMPLE),
            links=job_links("import"),
        ),
        "400": refused(
            400,
            "the resource, an option or the form of the file is wrong; `detail` says what to do",
            "unknown resource 'user'. known resources: addresses, articles, comments, users",
        ),
        "409": refused(
            409,
            "the first request with this Idempotency-Key is still being received",
            "the first request with this Idempotency-Key is still being received; wait for its "
            "reply or try again",
            "Retry-After",
        ),
        "415": refused(
            415,
            "this Content-Encoding is not understood",
            "Content-Encoding 'br' is not known: send gzip, zstd or none",
            "Accept-Encoding",
        ),
        "422": OTHER_PAYLOAD,
    },
)
