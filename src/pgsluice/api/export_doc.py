"""How exports that run later are described in the OpenAPI document."""

from ..examples import JOB_EXAMPLE
from ..models import Schema
from .openapi import (
    ACCEPT_PROFILE,
    EXPORT_ID,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
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
    streams,
    told,
)

_ID: str = JOB_EXAMPLE["job_id"]
_SHA = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
EXAMPLE: Schema = {
    **{name: value for name, value in JOB_EXAMPLE.items() if not name.startswith("errors")},
    "kind": "export",
    "file_name": "users.csv",
    "outcome": "clean",
    "counts": dict.fromkeys(JOB_EXAMPLE["counts"], 0),
    "progress": {"rows": 9750, "percent": 100.0},
    "metrics": {
        "rows_per_second": 900000,
        "duration_ms": 11,
        "bytes": 1200167,
        "expected": 9800,
        "exported": {"users": 9750},
    },
    "options": {"resources": ["users"], "format": "csv", "expires_in": 86400},
    "resources": ["users"],
    "exported": 9750,
    "bytes": 1200167,
    "sha256": _SHA,
    "snapshot": {"time": "2026-01-05T12:00:00.011000Z", "lsn": "0/16B3748"},
    "files": [
        {
            "name": "users.csv",
            "resource": "users",
            "exported": 9750,
            "bytes": 1200167,
            "sha256": _SHA,
            "content_type": "text/csv; charset=utf-8; header=present",
            "expires_at": "2026-01-06T12:00:00.133000Z",
            "download_url": f"/v1/exports/{_ID}/download",
        }
    ],
    "download_url": f"/v1/exports/{_ID}/download",
    "expires_at": "2026-01-06T12:00:00.133000Z",
    "links": {
        "self": f"/v1/exports/{_ID}",
        "download": f"/v1/exports/{_ID}/download",
        "events": f"/v1/exports/{_ID}/events",
    },
}
PENDING: Schema = {
    **EXAMPLE,
    "status": "pending",
    "outcome": None,
    "progress": {"rows": 0, "percent": 0.0},
    "metrics": {"rows_per_second": None, "duration_ms": None, "bytes": 0, "expected": 9800},
    "exported": 0,
    "bytes": 0,
    "sha256": None,
    "snapshot": None,
    "files": [],
    "download_url": None,
    "started_at": None,
    "completed_at": None,
    "expires_at": None,
}
_JOB = shapes("ExportJob", "RealworldJob", "NestJob", example=EXAMPLE)
_NEW = shapes("ExportJob", "RealworldJob", "NestJob", example=PENDING)


def _names(description: str) -> Schema:
    """A list of names; for several resources an object of such lists."""
    names: Schema = {"type": "array", "items": {"type": "string"}}
    return {
        "description": f"{description}; for several resources an object by resource",
        "oneOf": [names, {"type": "object", "additionalProperties": names}],
    }


_REQUEST: Schema = {
    "type": "object",
    "properties": {
        "resource": {"type": "string", "description": "what to export; this or `resources`"},
        "resources": {
            "type": "array",
            "items": {"type": "string"},
            "description": "several, all of one snapshot",
        },
        "format": enum("ndjson", "csv", "json", "xlsx", "parquet", default="ndjson"),
        "fields": _names("which fields, in this order"),
        "filters": {
            "type": "object",
            "description": "as the parameters of GET: `role`, `role[in]`, `created_at[gte]`, "
            "`created_after`; for several resources an object by resource",
        },
        "order": _names("fields to order by, `-` for descending"),
        "limit": {"type": "integer", "minimum": 0, "description": "at most so many rows"},
        "include": _names("children to nest into each row"),
        "compression": {"type": "string", "enum": ["none", "gzip", "zstd"], "default": "none"},
        "archive": {
            "type": "string",
            "enum": ["zip", "none"],
            "default": "zip",
            "description": "of several resources: one zip, or a file each",
        },
        "closed": {
            "type": "boolean",
            "default": True,
            "description": "of several resources: rows that refer to rows which are left out by "
            "filters stay out too, through every level",
        },
        "expires_in": {
            "type": "integer",
            "minimum": 60,
            "description": "seconds that the file can be downloaded; SLUICE_EXPORT_TTL",
        },
        "callback_url": {"type": "string", "format": "uri", "description": "told at the end"},
        "delimiter": {"type": "string", "description": "of csv: `,` `;` `|` or tab"},
        "null": {"type": "string", "description": "of csv: what stands for null"},
        "header": {"type": "boolean", "default": True, "description": "of csv"},
        "escape_formulas": {
            "type": "boolean",
            "default": False,
            "description": "of csv: make texts that spreadsheets run harmless",
        },
    },
    "additionalProperties": False,
    "examples": [
        {
            "resource": "users",
            "format": "csv",
            "filters": {"active": True, "created_after": "2026-01-01"},
            "fields": ["id", "email"],
            "compression": "gzip",
        },
        {
            "resources": ["users", "articles", "comments"],
            "filters": {"users": {"role": "author"}},
        },
    ],
}
_MADE = ("Location", "Retry-After", "Preference-Applied", "Vary", "Idempotent-Replayed")
_LINKS = job_links("export")
_ENDED = told("it had ended within the time of Prefer", *_MADE, content=_JOB, links=_LINKS)
_ACCEPTED = told("accepted: the job is queued", *_MADE, content=_NEW, links=_LINKS)
_REPEATED = {
    "409": refused(
        409,
        "the first request with this Idempotency-Key is still being received",
        "the first request with this Idempotency-Key is still being received; wait for its reply "
        "or try again",
        "Retry-After",
    ),
    "422": refused(
        422,
        "this Idempotency-Key was used for another payload",
        "this Idempotency-Key was used for a request with other options or another file; send a "
        "new key",
    ),
}

POST = operation(
    "Export to a file, later",
    "exports",
    None,
    parameter("resource", "what to export, if the body does not say it", example="users"),
    parameter("format", "as in the body", enum("ndjson", "csv", "json", "xlsx", "parquet")),
    IDEMPOTENCY_KEY,
    PREFER,
    ACCEPT_PROFILE,
    refusals=(413,),
    description="One job, one snapshot of the database: `snapshot` of the job has its time and WAL "
    "position. 202 with the job; with `Prefer: wait=N` 200 once it has ended.",
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": _REQUEST
                | {"properties": {n: or_null(one) for n, one in _REQUEST["properties"].items()}}
            }
        },
    },
    responses={
        "200": _ENDED,
        "202": _ACCEPTED,
        "400": refused(
            400,
            "an option, field or filter is wrong; `detail` names it",
            "unknown resource 'user'. known resources: addresses, articles, comments, users",
        ),
        **_REPEATED,
    },
)
GET = operation(
    "One export",
    "exports",
    _JOB,
    EXPORT_ID,
    IF_NONE_MATCH,
    ACCEPT_PROFILE,
    refusals=(304, 400, 404),
    headers=("ETag", "Cache-Control", "Retry-After"),
    description="`expires_at` is until when its file can be downloaded; `progress` and `bytes` "
    "grow while it runs.",
)
_FILE_HEADERS = (
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Content-Length",
    "Content-Disposition",
    "Repr-Digest",
    "Cache-Control",
)
_FILE = streams("text/csv", "application/x-ndjson", "application/json", XLSX, PARQUET)
_PACKED = streams("application/zip", "application/gzip", "application/zstd")
DOWNLOAD = operation(
    "The file of an export",
    "exports",
    _FILE | _PACKED,
    EXPORT_ID,
    parameter("file", "which one, of an export with several", example="users.csv"),
    parameter("token", "of a link that needs no key (downloadUrl of profile nest)"),
    parameter("Range", "`bytes=1000-`: the rest of a download that broke", where="header"),
    parameter("If-Range", "the ETag of what is there already", where="header"),
    IF_NONE_MATCH,
    parameter(
        "If-Match", "the ETag of the file that is meant: 412 if it is another", where="header"
    ),
    parameter(
        "If-Unmodified-Since", "412 if the file was written later; If-Match wins", where="header"
    ),
    refusals=(304, 400, 404),
    headers=_FILE_HEADERS,
    description="`Repr-Digest` is the SHA-256 of the whole file, whatever part of it is sent. With "
    "SLUICE_DOWNLOADS=redirect a store that can sign links is linked to.",
    responses={
        "206": told(
            "the range asked for", *_FILE_HEADERS, "Content-Range", content=_FILE | _PACKED
        ),
        "303": told(
            "a link to the store, good for a quarter of an hour", "Location", "Cache-Control"
        ),
        "409": refused(
            409,
            "it is not done yet (Retry-After), or failed",
            f"export {_ID} is pending; wait for its end",
            "Retry-After",
        ),
        "412": refused(
            412,
            "the file is not the one that If-Match or If-Unmodified-Since mean",
            'the file is another one than the request is meant for; it has the ETag "9f2c…"',
            "ETag",
        ),
        "410": refused(
            410,
            "the file has expired",
            f"the files of export {_ID} have expired. retry it to have them made again",
        ),
        "416": refused(
            416,
            "the range lies behind the end",
            "the file has 205 bytes; ask for a range within them",
            "Content-Range",
        ),
    },
)
CANCEL = operation(
    "Cancel an export",
    "exports",
    _JOB,
    EXPORT_ID,
    ACCEPT_PROFILE,
    status=202,
    why="it is cancelled",
    responses={
        "409": refused(
            409,
            "it has ended already",
            f"job {_ID} is already completed. only a job that waits or runs can be cancelled",
        ),
    },
)
RETRY = operation(
    "The same export again, as a new job",
    "exports",
    None,
    EXPORT_ID,
    IDEMPOTENCY_KEY,
    PREFER,
    ACCEPT_PROFILE,
    refusals=(400, 404, 413),
    responses={
        "200": _ENDED,
        "202": _ACCEPTED,
        "409": refused(
            409,
            "it has not ended yet, or the first request with this Idempotency-Key is under way",
            f"export {_ID} is still processing. wait for its end, or cancel it",
            "Retry-After",
        ),
        "422": _REPEATED["422"],
    },
)
DELETE = operation(
    "Remove an export that has ended, and its files",
    "exports",
    None,
    EXPORT_ID,
    status=204,
    why="it is gone",
    responses={
        "409": refused(
            409,
            "it has not ended yet: cancel it first",
            f"job {_ID} is still processing. cancel it first, or wait for its end",
        ),
    },
)
