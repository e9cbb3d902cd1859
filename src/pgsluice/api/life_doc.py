"""How the routes along a job's life are described in the OpenAPI document."""

from ..examples import EXAMPLE_ID, JOB_EXAMPLE, PENDING_EXAMPLE
from ..models import Schema
from .openapi import (
    ACCEPT_PROFILE,
    EXPORT_ID,
    IDEMPOTENCY_KEY,
    IMPORT_ID,
    PREFER,
    content,
    job_links,
    operation,
    parameter,
    refused,
    shapes,
    told,
)

_SHAPES = ("ImportJob", "RealworldJob", "NestJob")
_JOB = shapes(*_SHAPES, example=JOB_EXAMPLE)
_MADE = ("Location", "Retry-After", "Preference-Applied", "Vary", "Idempotent-Replayed")
_STREAM: Schema = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "one event of the stream, its fields as they stand there",
            "properties": {
                "id": {"type": "string"},
                "event": {"type": "string", "enum": ["progress", "end"]},
                "data": {"type": "string", "contentMediaType": "application/json"},
                "retry": {"type": "integer"},
            },
        },
        "example": {"id": "end", "event": "end", "data": '{"job_id": "…", "status": "completed"}'},
    }
}


def _events(kind: str, job_id: Schema) -> Schema:
    return operation(
        f"The progress of an {kind} as server-sent events",
        f"{kind}s",
        _STREAM,
        job_id,
        parameter("Last-Event-ID", "the `id` of the last event that came", where="header"),
        headers=("Cache-Control",),
        responses={"204": told("its end has been seen already: do not come back")},
        description="`progress` events hold status, phase, counts, progress and rows_per_second, "
        "the first at once, then one for each move of the job (at most five a second); the last "
        "event is `end` with the whole job, and the stream closes. Comments keep it alive.",
    )


EVENTS = _events("import", IMPORT_ID)
EXPORT_EVENTS = _events("export", EXPORT_ID)

CANCEL = operation(
    "Cancel an import, whatever it is doing",
    "imports",
    shapes(*_SHAPES, example=PENDING_EXAMPLE | {"status": "cancelled"}),
    IMPORT_ID,
    ACCEPT_PROFILE,
    status=202,
    why="it is cancelled",
    description="What is merged stays and is counted, the rest is unprocessed; an atomic import "
    "leaves nothing.",
    responses={
        "409": refused(
            409,
            "it has ended already",
            f"job {EXAMPLE_ID} is already completed. only a job that waits or runs can be "
            "cancelled",
        ),
    },
)
OTHER_PAYLOAD = refused(
    422,
    "this Idempotency-Key was used for another payload",
    "this Idempotency-Key was used for a request with other options or another file; send a new "
    "key",
)
RETRY = operation(
    "Judge again what an import has left undone, in a new import",
    "imports",
    _JOB,
    IMPORT_ID,
    IDEMPOTENCY_KEY,
    PREFER,
    ACCEPT_PROFILE,
    refusals=(404, 413),
    headers=_MADE,
    why="it had ended within the time of Prefer",
    links=job_links("import"),
    description="Of a completed import its rejects, of a failed or cancelled one all of its data. "
    "Options in the query or in a JSON body lie over those of the old import.",
    requestBody={
        "required": False,
        "content": content(
            {"type": "object", "description": "options of POST imports"}, {"mode": "insert"}
        ),
    },
    responses={
        "202": told(
            "the new import is queued",
            *_MADE,
            content=shapes(*_SHAPES, example=PENDING_EXAMPLE | {"parent_job_id": EXAMPLE_ID}),
            links=job_links("import"),
        ),
        "400": refused(
            400,
            "an option is wrong; `detail` names it",
            "option mode cannot be 'other'. it takes one of upsert, insert, update",
        ),
        "409": refused(
            409,
            "it has not ended, or has left nothing to retry",
            f"import {EXAMPLE_ID} left nothing to retry. none of its records was rejected",
            "Retry-After",
        ),
        "422": OTHER_PAYLOAD,
    },
)
DELETE = operation(
    "Remove an import that has ended: rejects, results, data",
    "imports",
    None,
    IMPORT_ID,
    status=204,
    why="it is gone",
    responses={
        "409": refused(
            409,
            "it has not ended: cancel it first",
            f"job {EXAMPLE_ID} is still pending. cancel it first, or wait for its end",
        ),
    },
)
