"""How POST imports is described in the OpenAPI document."""

from ..examples import JOB_EXAMPLE, PENDING_EXAMPLE
from ..models import Schema
from .life_doc import OTHER_PAYLOAD
from .openapi import (
    ACCEPT_PROFILE,
    IDEMPOTENCY_KEY,
    PARQUET,
    PREFER,
    XLSX,
    enum,
    job_links,
    operation,
    or_null,
    parameter,
    refused,
    shapes,
    told,
)
from .option_doc import OPTIONS, SOURCES

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
        **{option["name"]: option["schema"] for option in (*OPTIONS, *SOURCES)},
    },
    "additionalProperties": False,
}
_FIELDS: Schema = {
    "type": "object",
    "required": ["resource"],
    "properties": {option["name"]: option["schema"] for option in (*OPTIONS, *SOURCES)},
    "additionalProperties": False,
    "description": "without a file: with url, source_path or object",
}
_REQUEST: Schema = {
    "type": "object",
    "required": ["resource"],
    "properties": {
        option["name"]: {"description": option["description"]}
        | (option["schema"] if option["name"] == "resource" else or_null(option["schema"]))
        for option in (*OPTIONS, *SOURCES)
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
    *OPTIONS,
    *SOURCES,
    *_HEADERS,
    refusals=(408, 413),
    headers=_MADE,
    why="it had ended within the time of Prefer",
    links=job_links("import"),
    description="The file is the body itself or the part `file` of a form; options stand in the "
    "query or in the form, before or behind the file (delimiter, null, encoding, trim and "
    "sheet: before). Or it stands elsewhere: then `url`, `source_path` or `object` says where, in "
    "the query, in a form, or in a JSON object with the options, and a worker fetches it. Its "
    "format is `format`, else told by its name (.csv, .tsv, .ndjson, .jsonl, .json, .xlsx, "
    ".parquet, each also .gz or .zst), else by the content type. 202 with the job; with "
    "`Prefer: wait=N` 200 once it has ended.",
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
            PARQUET: {"schema": _BYTES},
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
                        "contentType": ", ".join(
                            ("text/csv", "application/x-ndjson", "application/json", XLSX, PARQUET)
                        )
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
