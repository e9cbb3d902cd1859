"""How schedules and webhooks are described in the OpenAPI document."""

from ..models import JOB_EXAMPLE, PROBLEM_EXAMPLE, Schema
from .openapi import content, operation, parameter

_EXAMPLE: Schema = {
    "name": "nightly",
    "cron": "30 4 * * mon-fri",
    "time_zone": "Europe/Berlin",
    "kind": "import",
    "request": {"resource": "users", "url": "https://example.org/users.csv"},
    "missed": "once",
    "paused": False,
}
_SHOWN = _EXAMPLE | {
    "next_at": "2026-11-23T03:30:00.000000Z",
    "last_at": "2026-11-20T03:30:00.021000Z",
    "last_job_id": JOB_EXAMPLE["job_id"],
    "last_job_status": "completed",
    "last_error": None,
    "created_at": "2026-11-02T09:00:00.000000Z",
    "links": {"self": "/v1/schedules/nightly", "last_job": JOB_EXAMPLE["links"]["self"]},
}
_RULES = (
    "`cron` has five fields (minute, hour, day of month, month, day of week) with lists, ranges, "
    "steps and names, or is @hourly, @daily, @weekly, @monthly or @yearly, or `20 seconds`; it "
    "follows the clocks of `time_zone`. With fixed hours, a time that the clocks skip ticks right "
    "after the gap, one that comes twice ticks once; hours that begin with `*` follow real time. "
    "`request` is what would be posted to imports (`resource` and one of `url`, `source_path` and "
    "`object`, with options) or to exports. Each tick is fired once, however many workers run. "
    "One that is up to 60 s late is fired all the same; `missed` says what becomes of older "
    "ones, for which no worker ran: `once` makes one job for all of them together, `skip` none. "
    "Ticks while it is paused are not missed. A tick makes no job while an earlier job of the same "
    "schedule still runs. Ticks without a job are kept with the reason."
)
_NAME = parameter("name", "the schedule", where="path", example="nightly")
_MATCH = parameter("If-None-Match", "the ETag that is known", where="header")
_ID = parameter("job_id", "the job", {"type": "string", "format": "uuid"}, "path")
_TEXT: Schema = {"type": "string"}
_NEW: Schema = {
    "type": "object",
    "required": ["cron", "kind", "request"],
    "properties": {
        "name": _TEXT | {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
        "cron": _TEXT,
        "time_zone": _TEXT | {"default": "UTC"},
        "kind": _TEXT | {"enum": ["import", "export"]},
        "request": {"type": "object"},
        "missed": _TEXT | {"enum": ["once", "skip"], "default": "once"},
        "paused": {"type": "boolean", "default": False},
    },
}


def _json(schema: Schema, example: Schema) -> Schema:
    return {"application/json": {"schema": schema, "example": example}}


def _refused(why: str) -> Schema:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": PROBLEM_EXAMPLE}
    return {"description": why, "content": {"application/problem+json": problem}}


def _made(status: str, why: str, body: Schema, *headers: str) -> Schema:
    told = {name: {"schema": _TEXT} for name in (*headers, "X-Request-Id")}
    return {status: {"description": why, "headers": told, "content": body}}


_ONE = _json({"type": "object"}, _SHOWN)
_BODY: Schema = {"required": True, "content": _json(_NEW, _EXAMPLE)}
_CREATED = _made("201", "it is made", _ONE, "Location")
_JOB = content("Job", JOB_EXAMPLE)

LIST = operation(
    "All schedules, with their last and next run",
    "schedules",
    _json({"type": "object"}, {"schedules": [_SHOWN]}),
    _MATCH,
    refusals=(304, 400, 503),
    headers=("ETag",),
)
ONE = operation(
    "One schedule with its newest 20 ticks",
    "schedules",
    _ONE,
    _NAME,
    _MATCH,
    refusals=(304, 400, 404, 503),
    headers=("ETag",),
)
POST = operation(
    "Make a schedule",
    "schedules",
    _ONE,
    refusals=(400, 413, 503),
    headers=("Location",),
    description=_RULES + " 200 when the very same one is there already.",
    requestBody=_BODY,
    responses=_CREATED | {"409": _refused("another one has this name")},
)
PUT = operation(
    "Make a schedule, or replace the one of this name",
    "schedules",
    _ONE,
    _NAME,
    refusals=(400, 413, 503),
    headers=("Location",),
    description=_RULES,
    requestBody=_BODY,
    responses=_CREATED,
)
PAUSE = operation("Fire no tick of a schedule until it is resumed", "schedules", _ONE, _NAME)
RESUME = operation("End the pause of a schedule", "schedules", _ONE, _NAME)
RUN = operation(
    "Make the job of a schedule now, beside its ticks",
    "schedules",
    None,
    _NAME,
    responses=_made("202", "the job is queued", _JOB, "Location", "Retry-After"),
)
DELETE = operation(
    "Remove a schedule; the jobs that it made stay",
    "schedules",
    None,
    _NAME,
    responses={"204": {"description": "it is removed"}},
)

_DELIVERIES = {
    "job_id": JOB_EXAMPLE["job_id"],
    "callback_url": "https://example.org/hook",
    "deliveries": [
        {
            "delivery_id": "0199f3a1-6d01-7b7e-8a55-0d1f7c1c9c11",
            "url": "https://example.org/hook",
            "state": "delivered",
            "created_at": "2026-01-05T12:00:00.133000Z",
            "ended_at": "2026-01-05T12:00:05.480000Z",
            "next_attempt_at": None,
            "attempts": [
                {
                    "attempt": 1,
                    "at": "2026-01-05T12:00:00.160000Z",
                    "status": 503,
                    "error": "not now",
                    "duration_ms": 21,
                },
                {
                    "attempt": 2,
                    "at": "2026-01-05T12:00:05.480000Z",
                    "status": 200,
                    "error": None,
                    "duration_ms": 18,
                },
            ],
        }
    ],
}
_SENT = _json({"type": "object"}, _DELIVERIES)
DELIVERIES = operation(
    "The webhook of a job, and each attempt to deliver it",
    "jobs",
    _SENT,
    _ID,
    description="A job with a `callback_url` is posted there when it has ended, signed as "
    "https://www.standardwebhooks.com has it: `webhook-id` (the same at each attempt: drop what "
    "comes twice), `webhook-timestamp`, `webhook-signature`. The body is `type` (import.completed, "
    "export.failed …), `timestamp` and `data`, the job with its first ten errors. 2xx within 15 s "
    "is delivered, 410 ends it; all else, redirects too, is tried again: ten attempts within some "
    "three days. The secret is SLUICE_WEBHOOK_SECRET, or `select sluice.webhook_secret()`.",
)
REDELIVER = operation(
    "Deliver the webhook of a job again",
    "jobs",
    None,
    _ID,
    responses=_made("202", "it is sent at once", _SENT)
    | {"409": _refused("the job has not ended, or has no callback_url")},
)
