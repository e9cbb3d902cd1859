"""What the service's documents look like: the schemas and examples of the OpenAPI page."""

from typing import Any

Schema = dict[str, Any]

_ID = "0199f3a1-6c52-7d10-9a3e-5f0c2b7e1d44"

JOB_EXAMPLE: Schema = {
    "job_id": _ID,
    "id": _ID,
    "kind": "import",
    "resource": "users",
    "format": "csv",
    "file_name": "users.csv",
    "source": None,
    "status": "completed",
    "phase": None,
    "outcome": "partial",
    "dry_run": False,
    "counts": {
        "received": 10000,
        "inserted": 9750,
        "updated": 0,
        "unchanged": 0,
        "rejected": 250,
        "dropped": 0,
        "unprocessed": 0,
    },
    "progress": {"rows": 10000, "percent": 100.0},
    "metrics": {
        "rows_per_second": 81000,
        "error_rate": 0.025,
        "duration_ms": 123,
        "bytes": 1200167,
    },
    "errors": [
        {
            "row": 42,
            "line": 43,
            "field": "email",
            "code": "check",
            "constraint": "users_email_valid",
            "message": "must be a valid e-mail address",
            "value": "foo@bar",
        }
    ],
    "errors_truncated": True,
    "ignored_fields": [],
    "options": {},
    "error": None,
    "parent_job_id": None,
    "schedule": None,
    "callback_url": None,
    "created_at": "2026-01-05T12:00:00Z",
    "started_at": "2026-01-05T12:00:00.010Z",
    "completed_at": "2026-01-05T12:00:00.133Z",
    "expires_at": "2026-02-04T12:00:00Z",
    "links": {
        "self": f"/v1/imports/{_ID}",
        "errors": f"/v1/imports/{_ID}/errors",
        "rejects": f"/v1/imports/{_ID}/rejects",
        "events": f"/v1/imports/{_ID}/events",
    },
}

PROBLEM_EXAMPLE: Schema = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "resource 'user' is not registered. did you mean users?",
    "instance": "/v1/imports",
    "error": "resource 'user' is not registered. did you mean users?",
}

ERROR_CODES = (
    "malformed",
    "required",
    "type",
    "check",
    "rule",
    "reference",
    "duplicate",
    "unique",
    "conflict",
    "exists",
    "missing",
    "unknown_field",
    "write",
)
STATUSES = ("receiving", "pending", "processing", "completed", "failed", "cancelled")


def _text(*, nullable: bool = False, **more: Any) -> Schema:
    return {"type": ["string", "null"] if nullable else "string", **more}


def _moment(*, nullable: bool = False) -> Schema:
    return _text(nullable=nullable, format="date-time")


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_WHOLE: Schema = {"type": "integer", "minimum": 0}
_COUNTS = ("received", "inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed")

SCHEMAS: dict[str, Schema] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457; `error` repeats `detail`",
        "required": ["type", "title", "status", "detail", "instance", "error"],
        "properties": {
            "type": _text(),
            "title": _text(),
            "status": {"type": "integer"},
            "detail": _text(description="what is wrong and what to do"),
            "instance": _text(),
            "error": _text(),
        },
    },
    "RecordError": {
        "type": "object",
        "properties": {
            "row": {"type": "integer", "description": "number of the record, from 1"},
            "line": {"type": ["integer", "null"], "description": "physical line in the file"},
            "field": _text(nullable=True),
            "code": _text(enum=list(ERROR_CODES)),
            "constraint": _text(nullable=True),
            "message": _text(),
            "value": _text(nullable=True),
            "sqlstate": _text(nullable=True),
        },
    },
    "Job": {
        "type": "object",
        "required": ["job_id", "id", "kind", "status", "counts", "created_at", "links"],
        "properties": {
            "job_id": _text(format="uuid"),
            "id": _text(format="uuid"),
            "kind": _text(enum=["import", "export"]),
            "resource": _text(),
            "format": _text(nullable=True, description="null until the fetched file tells it"),
            "file_name": _text(nullable=True),
            "source": {
                "type": ["object", "null"],
                "description": "where the file was fetched from: url (without its query), "
                "source_path or object",
            },
            "status": _text(enum=list(STATUSES)),
            "phase": _text(nullable=True, description="fetch, then cast, match, merge"),
            "outcome": _text(nullable=True, description="clean or partial once completed"),
            "dry_run": {"type": ["boolean", "string"]},
            "counts": {"type": "object", "properties": dict.fromkeys(_COUNTS, _WHOLE)},
            "progress": {"type": "object"},
            "metrics": {"type": "object"},
            "errors": {"type": "array", "items": _ref("RecordError")},
            "errors_truncated": {"type": "boolean"},
            "ignored_fields": {"type": "array", "items": _text()},
            "options": {"type": "object"},
            "error": {"oneOf": [_ref("Problem"), {"type": "null"}]},
            "parent_job_id": _text(nullable=True, format="uuid"),
            "schedule": _text(nullable=True, description="whose tick made it"),
            "callback_url": _text(nullable=True, description="without its query"),
            "created_at": _moment(),
            "started_at": _moment(nullable=True),
            "completed_at": _moment(nullable=True),
            "expires_at": _moment(nullable=True),
            "links": {"type": "object", "additionalProperties": _text(nullable=True)},
            "resources": {"type": "array", "items": _text(), "description": "of an export"},
            "exported": {**_WHOLE, "description": "of an export: rows"},
            "sha256": _text(nullable=True, description="of an export: of its one file"),
            "snapshot": {
                "type": ["object", "null"],
                "description": "of an export: time and WAL position just before its snapshot",
                "properties": {"time": _moment(), "lsn": _text()},
            },
            "download_url": _text(nullable=True, description="of an export: its one file"),
            "files": {"type": "array", "items": _ref("ExportFile")},
        },
        "example": JOB_EXAMPLE,
    },
    "ExportFile": {
        "type": "object",
        "properties": {
            "name": _text(),
            "resource": _text(nullable=True, description="null: an archive of several"),
            "exported": {**_WHOLE, "description": "rows"},
            "bytes": _WHOLE,
            "sha256": _text(),
            "content_type": _text(),
            "expires_at": _moment(),
            "download_url": _text(nullable=True, description="null: the exported file is gone"),
        },
    },
    "Jobs": {
        "type": "object",
        "properties": {
            "jobs": {"type": "array", "items": _ref("Job")},
            "next": _text(nullable=True, description="cursor of the next page"),
        },
    },
    "Errors": {
        "type": "object",
        "properties": {
            "errors": {"type": "array", "items": _ref("RecordError")},
            "next": _text(nullable=True, description="cursor of the next page"),
        },
    },
}
