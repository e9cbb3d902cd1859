"""Examples of the service's documents, for the OpenAPI page."""

from .models import COUNTS, Schema

EXAMPLE_ID = "0199f3a1-6c52-7d10-9a3e-5f0c2b7e1d44"

_ERROR: Schema = {
    "row": 42,
    "line": 43,
    "field": "email",
    "code": "check",
    "constraint": "users_email_valid",
    "message": "must be an e-mail address whose domain has a dot, such as ann@example.com",
    "value": "foo@bar",
}
JOB_EXAMPLE: Schema = {
    "job_id": EXAMPLE_ID,
    "id": EXAMPLE_ID,
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
    "errors": [_ERROR],
    "errors_truncated": True,
    "ignored_fields": [],
    "options": {"delimiter": ","},
    "error": None,
    "parent_job_id": None,
    "schedule": None,
    "callback_url": None,
    "created_at": "2026-01-05T12:00:00.000000Z",
    "started_at": "2026-01-05T12:00:00.010000Z",
    "completed_at": "2026-01-05T12:00:00.133000Z",
    "expires_at": "2026-02-04T12:00:00.133000Z",
    "links": {
        "self": f"/v1/imports/{EXAMPLE_ID}",
        "errors": f"/v1/imports/{EXAMPLE_ID}/errors",
        "rejects": f"/v1/imports/{EXAMPLE_ID}/rejects",
        "events": f"/v1/imports/{EXAMPLE_ID}/events",
    },
}
PENDING_EXAMPLE: Schema = {
    **JOB_EXAMPLE,
    "status": "pending",
    "outcome": None,
    "counts": dict.fromkeys(COUNTS, 0) | {"received": 10000},
    "progress": {"rows": 0, "percent": 0.0},
    "metrics": {
        "rows_per_second": None,
        "error_rate": 0.0,
        "duration_ms": None,
        "bytes": 1200167,
    },
    "errors": [],
    "errors_truncated": False,
    "started_at": None,
    "completed_at": None,
    "expires_at": None,
}
SUMMARY_EXAMPLE: Schema = {
    "job_id": EXAMPLE_ID,
    "records": 250,
    "errors": 250,
    "groups": [
        {
            "field": "email",
            "code": "check",
            "records": 250,
            "errors": 250,
            "example": {"row": 42, "line": 43, "value": "foo@bar"},
            "constraints": [
                {
                    "constraint": "users_email_valid",
                    "records": 250,
                    "message": _ERROR["message"],
                    "example": {"row": 42, "line": 43, "value": "foo@bar"},
                }
            ],
        }
    ],
}
HEALTH_EXAMPLE: Schema = {
    "status": "ok",
    "release": "0.1.0",
    "database": {"status": "ok", "name": "app", "version": "18.4", "read_only": False},
    "queue": {"status": "ok", "waiting": 2, "processing": 1, "oldest_seconds": 3},
    "workers": {"alive": 2, "missing_logins": []},
}
RESOURCE_EXAMPLE: Schema = {
    "name": "users",
    "table": "app.users",
    "description": "People who write and read.",
    "key": ["id"],
    "fields": [
        {
            "name": "email",
            "type": "text",
            "kind": "text",
            "required": True,
            "nullable": False,
        }
    ],
    "keys": [
        {
            "name": "users_email_unique",
            "primary": False,
            "fields": ["email"],
            "expressions": ["email"],
            "nulls_not_distinct": False,
            "deferrable": False,
        }
    ],
    "rules": [
        {
            "name": "users_email_valid",
            "kind": "check",
            "fields": ["email"],
            "message": _ERROR["message"],
            "judged": "before",
        }
    ],
    "references": [],
    "children": ["addresses"],
    "parent": None,
    "created_field": "created_at",
    "updated_field": "updated_at",
    "triggers": [],
}
