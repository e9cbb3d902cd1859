"""How exports that run later are described in the OpenAPI document."""

from ..models import JOB_EXAMPLE, PROBLEM_EXAMPLE, Schema
from .openapi import content, operation, parameter, streams

_JOB_ID = parameter("job_id", "the export", {"type": "string", "format": "uuid"}, "path")
_KEY = parameter("Idempotency-Key", "one job however often it is sent", where="header")
_PREFER = parameter("Prefer", "`wait=N`: reply when the job has ended", where="header")
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
        "exported": {"users": 9750},
    },
    "options": {"resources": ["users"], "format": "csv", "expires_in": 86400},
    "resources": ["users"],
    "exported": 9750,
    "bytes": 1200167,
    "sha256": _SHA,
    "snapshot": {"time": "2026-01-05T12:00:00.005Z", "lsn": "0/16B3748"},
    "files": [
        {
            "name": "users.csv",
            "resource": "users",
            "exported": 9750,
            "bytes": 1200167,
            "sha256": _SHA,
            "content_type": "text/csv; charset=utf-8; header=present",
            "expires_at": "2026-01-06T12:00:00Z",
            "download_url": f"/v1/exports/{_ID}/download",
        }
    ],
    "download_url": f"/v1/exports/{_ID}/download",
    "expires_at": "2026-01-06T12:00:00Z",
    "links": {
        "self": f"/v1/exports/{_ID}",
        "download": f"/v1/exports/{_ID}/download",
        "events": f"/v1/exports/{_ID}/events",
    },
}
_JOB = content("Job", EXAMPLE)


def _refused(why: str) -> Schema:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": PROBLEM_EXAMPLE}
    return {"description": why, "content": {"application/problem+json": problem}}


def _told(description: str, *headers: str, **more: Schema) -> Schema:
    made = {name: {"schema": {"type": "string"}} for name in (*headers, "X-Request-Id")}
    return {"description": description, "headers": made, **more}


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
        "format": {"type": "string", "enum": ["ndjson", "csv", "json"], "default": "ndjson"},
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
_ACCEPTED = _told(
    "accepted: the job is queued",
    "Location",
    "Retry-After",
    "Idempotent-Replayed",
    content=_JOB,
)

POST = operation(
    "Export to a file, later",
    "exports",
    _JOB,
    parameter("resource", "what to export, if the body does not say it"),
    parameter("format", "as in the body"),
    _KEY,
    _PREFER,
    refusals=(400, 409, 413, 422, 503),
    headers=("Location", "Preference-Applied", "Vary", "Idempotent-Replayed"),
    description="One job, one snapshot of the database: `snapshot` of the job has its time and WAL "
    "position. 202 with the job; with `Prefer: wait=N` 200 once it has ended.",
    requestBody={"required": True, "content": {"application/json": {"schema": _REQUEST}}},
    responses={"202": _ACCEPTED},
)
GET = operation(
    "One export",
    "exports",
    _JOB,
    _JOB_ID,
    parameter("If-None-Match", "the ETag that is known", where="header"),
    refusals=(304, 404, 503),
    headers=("ETag", "Retry-After"),
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
)
DOWNLOAD = operation(
    "The file of an export",
    "exports",
    streams("text/csv", "application/x-ndjson", "application/json", "application/zip"),
    _JOB_ID,
    parameter("file", "which one, of an export with several", example="users.csv"),
    parameter("token", "of a link that needs no key (downloadUrl of profile nest)"),
    parameter("Range", "`bytes=1000-`: the rest of a download that broke", where="header"),
    parameter("If-Range", "the ETag of what is there already", where="header"),
    parameter("If-None-Match", "the ETag that is known", where="header"),
    refusals=(304, 400, 404, 503),
    headers=_FILE_HEADERS,
    description="`Repr-Digest` is the SHA-256 of the whole file, whatever part of it is sent. With "
    "SLUICE_DOWNLOADS=redirect a store that can sign links is linked to.",
    responses={
        "206": _told("the range asked for", *_FILE_HEADERS, "Content-Range"),
        "303": _told("a link to the store, good for a quarter of an hour", "Location"),
        "409": _refused("it is not done yet (Retry-After), or failed"),
        "410": _refused("the file has expired"),
        "416": _refused("the range lies behind the end"),
    },
)
CANCEL = operation(
    "Cancel an export",
    "exports",
    _JOB,
    _JOB_ID,
    refusals=(404, 503),
    responses={
        "202": _told("it is cancelled", content=_JOB),
        "409": _refused("it has ended already"),
    },
)
RETRY = operation(
    "The same export again, as a new job",
    "exports",
    _JOB,
    _JOB_ID,
    _KEY,
    _PREFER,
    refusals=(404, 422, 503),
    headers=("Location", "Idempotent-Replayed"),
    responses={"202": _ACCEPTED, "409": _refused("it has not ended yet")},
)
DELETE = operation(
    "Remove an export that has ended, and its files",
    "exports",
    None,
    _JOB_ID,
    refusals=(404, 503),
    responses={
        "204": {"description": "it is gone"},
        "409": _refused("it has not ended yet: cancel it first"),
    },
)
