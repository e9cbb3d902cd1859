"""How the routes along a job's life are described in the OpenAPI document."""

from ..models import JOB_EXAMPLE, PROBLEM_EXAMPLE, Schema
from .openapi import content, operation, parameter, streams

_JOB_ID = parameter("job_id", "the job", {"type": "string", "format": "uuid"}, "path")
_JOB = content("Job", JOB_EXAMPLE)
_KEY = parameter("Idempotency-Key", "one job however often it is sent", where="header")
_PREFER = parameter("Prefer", "`wait=N`: reply when the job has ended", where="header")


def _refused(why: str) -> Schema:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": PROBLEM_EXAMPLE}
    return {"description": why, "content": {"application/problem+json": problem}}


def _events(kind: str) -> Schema:
    return operation(
        f"The progress of an {kind} as server-sent events",
        f"{kind}s",
        streams("text/event-stream"),
        _JOB_ID,
        parameter("Last-Event-ID", "the `id` of the last event that came", where="header"),
        headers=("Cache-Control",),
        responses={"204": {"description": "its end has been seen already: do not come back"}},
        description="`progress` events hold status, phase, counts, progress and rows_per_second, "
        "the first at once, then one for each move of the job (at most five a second); the last "
        "event is `end` with the whole job, and the stream closes. Comments keep it alive.",
    )


EVENTS = _events("import")
EXPORT_EVENTS = _events("export")

CANCEL = operation(
    "Cancel an import, whatever it is doing",
    "imports",
    None,
    _JOB_ID,
    refusals=(404, 503),
    description="What is merged stays and is counted, the rest is unprocessed; an atomic import "
    "leaves nothing.",
    responses={
        "202": {"description": "it is cancelled", "content": _JOB},
        "409": _refused("it has ended already"),
    },
)
RETRY = operation(
    "Judge again what an import has left undone, in a new import",
    "imports",
    _JOB,
    _JOB_ID,
    _KEY,
    _PREFER,
    refusals=(400, 404, 422, 503),
    headers=("Location", "Preference-Applied", "Vary", "Idempotent-Replayed"),
    description="Of a completed import its rejects, of a failed or cancelled one all of its data. "
    "Options in the query or in a JSON body lie over those of the old import.",
    requestBody={
        "required": False,
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": {"mode": "insert"}}
        },
    },
    responses={
        "202": {
            "description": "the new import is queued",
            "headers": {
                name: {"schema": {"type": "string"}}
                for name in ("Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed")
            },
            "content": _JOB,
        },
        "409": _refused("it has not ended, or has left nothing to retry"),
    },
)
DELETE = operation(
    "Remove an import that has ended: rejects, results, data",
    "imports",
    None,
    _JOB_ID,
    refusals=(404, 503),
    responses={
        "204": {"description": "it is gone"},
        "409": _refused("it has not ended: cancel it first"),
    },
)
RESULTS = operation(
    "What became of each good record: row, action, key",
    "imports",
    streams("application/x-ndjson", "text/csv", "application/json"),
    _JOB_ID,
    parameter(
        "format",
        "form of the rows",
        {"type": "string", "enum": ["ndjson", "csv", "json"], "default": "ndjson"},
    ),
    parameter("Accept-Encoding", "zstd or gzip compress the stream", where="header"),
    headers=("Content-Disposition", "Content-Encoding", "Accept-Ranges", "Vary"),
    responses={"409": _refused("the import did not ask for results=true")},
)
