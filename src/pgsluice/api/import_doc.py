"""How POST imports is described in the OpenAPI document."""

from ..models import JOB_EXAMPLE, Schema
from .openapi import FLAG, content, operation, parameter, streams


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values), "default": values[0]}


_OPTIONS = (
    parameter("resource", "which resource; required here or in the form", example="users"),
    parameter(
        "format",
        "default: by file name, else by content type",
        {"type": "string", "enum": ["csv", "ndjson", "json"]},
    ),
    parameter("file_name", "name of the file, for a raw body"),
    parameter("mode", "insert and update, or one of them", _one_of("upsert", "insert", "update")),
    parameter("match", "keys to match by, in this order", example="id,email"),
    parameter("on_duplicate", "records with one key", _one_of("reject", "first", "last")),
    parameter("unknown_fields", "fields no column has", _one_of("reject", "ignore")),
    parameter("mapping", "JSON object: file field -> field", example='{"e-mail": "email"}'),
    parameter("defaults", "JSON object: values for inserted rows", example='{"role": "reader"}'),
    parameter("identity", "keep writes ids of identity columns", _one_of("generate", "keep")),
    parameter("results", "keep the outcome of each good record", FLAG),
    parameter("null", "the unquoted cell that means null; default: empty"),
    parameter("delimiter", "`,` `;` `|` or tab; default: as the header has it"),
    parameter("encoding", "of the file; default: UTF-8, or by its byte order mark"),
    parameter("trim", "cut white space around cells", FLAG),
    parameter("date_order", "of dates such as 03.04.2026", _one_of("ymd", "dmy", "mdy")),
    parameter("decimal", "the decimal mark", _one_of(".", ",")),
    parameter("atomic", "all records or none", FLAG),
    parameter("max_errors", "rejects to keep before the job fails", {"type": "integer"}),
    parameter("max_error_ratio", "share of rejects past which the job fails", {"type": "number"}),
    parameter("dry_run", "report without writing", _one_of("false", "true", "write")),
    parameter("priority", "interactive passes larger jobs", _one_of("normal", "interactive")),
    parameter("parent", "id of the job whose rejects these are"),
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
    parameter("Idempotency-Key", "one job however often it is sent", where="header"),
    parameter("Prefer", "`wait=N`: reply when the job has ended", where="header"),
    parameter("Content-Encoding", "gzip or zstd, for a raw body", where="header"),
)
_FORM: Schema = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary"},
        **{option["name"]: option["schema"] for option in (*_OPTIONS, *_SOURCES)},
    },
}
_REQUEST: Schema = {
    "type": "object",
    "required": ["resource"],
    "properties": {
        option["name"]: {"description": option["description"]} | option["schema"]
        for option in (*_OPTIONS, *_SOURCES)
    },
}
_JOB = content("Job", JOB_EXAMPLE)

POST = operation(
    "Import a file",
    "imports",
    _JOB,
    *_OPTIONS,
    *_SOURCES,
    *_HEADERS,
    refusals=(400, 404, 409, 413, 415, 422, 503),
    headers=("Location", "Preference-Applied", "Vary", "Idempotent-Replayed"),
    description="The file is the body itself or the part `file` of a form; options stand in the "
    "query or in the form, before or behind the file (delimiter, null, encoding and trim: "
    "before). Or it stands elsewhere: then `url`, `source_path` or `object` says where, in the "
    "query, in a form, or in a JSON object with the options, and a worker fetches it. 202 with the "
    "job; with `Prefer: wait=N` 200 once it has ended.",
    requestBody={
        "content": {
            **streams("text/csv", "application/x-ndjson"),
            "application/json": {
                "schema": {"oneOf": [{"type": "array", "items": {"type": "object"}}, _REQUEST]},
                "example": {"resource": "users", "url": "https://example.org/users.csv.gz"},
            },
            "multipart/form-data": {"schema": _FORM},
        },
    },
    responses={
        "202": {
            "description": "accepted: the job is queued",
            "headers": {
                name: {"schema": {"type": "string"}}
                for name in ("Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed")
            },
            "content": _JOB,
        }
    },
)
