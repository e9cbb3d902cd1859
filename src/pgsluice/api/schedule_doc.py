"""How schedules and webhooks are described in the OpenAPI document."""

from ..examples import EXAMPLE_ID, JOB_EXAMPLE, PENDING_EXAMPLE
from ..models import Schema, listing, moment, record
from .openapi import (
    IF_NONE_MATCH,
    JOB_ID,
    content,
    enum,
    linked,
    operation,
    or_null,
    parameter,
    refused,
    told,
)

_EXAMPLE: Schema = {
    "name": "nightly",
    "cron": "30 4 * * mon-fri",
    "time_zone": "Europe/Berlin",
    "kind": "export",
    "request": {"resource": "users", "format": "csv", "compression": "gzip"},
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
    "links": {"self": "/v1/schedules/nightly", "last_job": f"/v1/exports/{EXAMPLE_ID}"},
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
_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_NAME = parameter("name", "the schedule", {"type": "string"}, where="path", example="nightly")
_TEXT: Schema = {"type": "string"}
_REQUEST: Schema = {
    "type": "object",
    "required": ["resource"],
    "properties": {"resource": _TEXT},
    "description": "as for imports, with url, source_path or object, or as for exports",
}
_NEW: Schema = {
    "type": "object",
    "required": ["name", "cron", "kind", "request"],
    "properties": {
        "name": _TEXT | {"pattern": _PATTERN},
        "cron": _TEXT | {"minLength": 1},
        "time_zone": or_null(_TEXT) | {"default": "UTC", "description": "as Postgres names it"},
        "kind": enum("import", "export"),
        "request": _REQUEST,
        "missed": or_null(enum("once", "skip", default="once")),
        "paused": or_null({"type": "boolean", "default": False}),
    },
    "additionalProperties": False,
}
_NAMED: Schema = {
    **_NEW,
    "required": ["cron", "kind", "request"],
    "properties": _NEW["properties"] | {"name": or_null(_NEW["properties"]["name"])},
}
_UNNAMED_EXAMPLE = {name: value for name, value in _EXAMPLE.items() if name != "name"}
_ONE = content("Schedule", _SHOWN)
_WRONG = {
    "400": refused(
        400,
        "it cannot be made so; `detail` says why",
        "a cron expression cannot be 'often'. give minute, hour, day of month, month and day of "
        'week, as in "30 4 * * mon-fri"; or @hourly, @daily, @weekly, @monthly, @yearly; or '
        '"20 seconds"',
    )
}
_NEXT = linked(
    "then",
    "get_schedule",
    "pause_schedule",
    "resume_schedule",
    "run_schedule",
    "delete_schedule",
    name="$response.body#/name",
)
_CREATED = {"201": told("it is made", "Location", content=_ONE, links=_NEXT)}

LIST = operation(
    "All schedules, with their last and next run",
    "schedules",
    content("Schedules", {"schedules": [_SHOWN]}),
    IF_NONE_MATCH,
    refusals=(304, 400),
    headers=("ETag", "Cache-Control"),
)
ONE = operation(
    "One schedule with its newest 20 ticks",
    "schedules",
    _ONE,
    _NAME,
    IF_NONE_MATCH,
    refusals=(304, 400, 404),
    headers=("ETag", "Cache-Control"),
)
POST = operation(
    "Make a schedule",
    "schedules",
    _ONE,
    refusals=(413,),
    why="the very same one was there already",
    headers=("Location",),
    description=_RULES + " 200 when the very same one is there already.",
    requestBody={"required": True, "content": content(_NEW, _EXAMPLE)},
    responses=_CREATED
    | _WRONG
    | {
        "409": refused(
            409,
            "another one has this name",
            "there is a schedule 'nightly' already, and it is another. PUT it to replace that "
            "one, or take another name",
        )
    },
)
PUT = operation(
    "Make a schedule, or replace the one of this name",
    "schedules",
    _ONE,
    _NAME | {"schema": {"type": "string", "pattern": _PATTERN}},
    refusals=(413,),
    why="it was there, and is replaced",
    headers=("Location",),
    description=_RULES,
    requestBody={"required": True, "content": content(_NAMED, _UNNAMED_EXAMPLE)},
    responses=_CREATED | _WRONG,
)
PAUSE = operation("Fire no tick of a schedule until it is resumed", "schedules", _ONE, _NAME)
RESUME = operation("End the pause of a schedule", "schedules", _ONE, _NAME)
RUN = operation(
    "Make the job of a schedule now, beside its ticks",
    "schedules",
    content("Job", PENDING_EXAMPLE | {"schedule": "nightly"}),
    _NAME,
    status=202,
    why="the job is queued",
    headers=("Location", "Retry-After"),
)
DELETE = operation(
    "Remove a schedule; the jobs that it made stay",
    "schedules",
    None,
    _NAME,
    status=204,
    why="it is removed",
)
CRON = operation(
    "The next five ticks of a cron expression",
    "schedules",
    content(
        record(ticks=listing(moment(), maxItems=5)),
        {"ticks": ["2026-11-23T03:30:00.000000Z", "2026-11-24T03:30:00.000000Z"]},
    ),
    parameter("cron", "as in a schedule", required=True, example="30 4 * * mon-fri"),
    parameter("time_zone", "as Postgres names it", {"type": "string", "default": "UTC"}),
    refusals=(),
    responses=_WRONG,
) | {"scopes": {"import", "export"}}

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
_SENT = content("Deliveries", _DELIVERIES)
DELIVERIES = operation(
    "The webhook of a job, and each attempt to deliver it",
    "jobs",
    _SENT,
    JOB_ID,
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
    _SENT,
    JOB_ID,
    status=202,
    why="it is sent at once",
    responses={
        "409": refused(
            409,
            "the job has not ended, or has no callback_url",
            f"job {EXAMPLE_ID} has no callback_url. give one with the next import or export",
        )
    },
)
