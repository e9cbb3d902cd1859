"""How the calls of systems A and E are described in the OpenAPI document."""

from ..examples import JOB_EXAMPLE
from ..models import Schema
from .openapi import IDEMPOTENCY_KEY, operation, parameter

_ID: str = JOB_EXAMPLE["job_id"]
_REQUEST = "5f0c2b7e-1d44-4c1e-9a3e-0199f3a16c52"
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_UUID: Schema = {"type": "string", "format": "uuid"}
_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _json(schema: Schema, example: object = None) -> Schema:
    media: Schema = {"schema": schema} | ({"example": example} if example is not None else {})
    return {"application/json": media}


def _told(description: str, body: Schema, *headers: str) -> Schema:
    made = {name: {"schema": _TEXT} for name in (*headers, "X-Request-Id")}
    return {"description": description, "headers": made, "content": body}


_RESULT = _object(
    "requestId",
    "id",
    "status",
    "summary",
    requestId=_UUID,
    id=_UUID,
    status={"type": "string"},
    summary=_object("total", "inserted", "updated", total=_WHOLE, inserted=_WHOLE, updated=_WHOLE),
    duplicate={"type": "boolean"},
)
_RESULT_EXAMPLE: Schema = {
    "requestId": _REQUEST,
    "id": _ID,
    "status": "completed",
    "summary": {"total": 2, "inserted": 1, "updated": 1},
}
# app.is_email_v1
_EMAIL = r"""^[^\s@,;<>"()]+@[^\s@.,;<>"()]+(\.[^\s@.,;<>"()]+)+$"""
_USERS: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": 10000,
    "items": {
        "type": "object",
        "required": ["name", "email"],
        "properties": {
            "name": {"type": "string", "pattern": r"^[^\u0000]{1,256}$"},
            "email": {"type": "string", "pattern": _EMAIL, "maxLength": 254},
            "metadata": {"type": "object"},
        },
        "additionalProperties": False,
    },
}
_USERS_EXAMPLE = [
    {"name": "Ann", "email": "ann@example.org", "metadata": {"team": "red"}},
    {"name": "Bob", "email": "bob@example.org"},
]
_A_REFUSALS = {
    400: (
        "nothing was written: the first invalid record is named by its index, from 0",
        "record at index 1: email must be an e-mail address whose domain has a dot",
    ),
    401: ("no API key, or not a good one", "this API key is unknown, revoked or expired"),
    403: ("this API key may not do that", "this API key may not use resource 'users'"),
    413: ("too large", "the body has 70000000 bytes, more than the 67108864 allowed here"),
    415: ("not JSON", "send the users as application/json"),
    422: (
        "this X-Request-ID came with other users before",
        "this X-Request-ID was used for other users. send a new one",
    ),
    429: ("too many requests with this API key", "more than 60 requests a minute; try again"),
    503: (
        "not within 30 seconds, or no room: nothing was written",
        "it took longer than 30 seconds and was rolled back: nothing was written",
    ),
}
BULK: Schema = operation(
    "Import up to 10,000 users at once, all or none (system A)",
    "earlier systems",
    _json(_RESULT, _RESULT_EXAMPLE),
    parameter(
        "X-Request-ID",
        "the idempotency key, a UUID; made and returned when absent",
        _UUID,
        "header",
    ),
    parameter("Prefer", "`respond-async`: leave it to a worker", where="header"),
    refusals=(),
    headers=("Vary",),
    description="Users are found again by e-mail; new ones get the role reader, those that are "
    "there keep theirs. `metadata` that is left out becomes null. `updated` counts every user that "
    "was there already. A repeat with the same X-Request-ID gets the first reply again, with "
    "`duplicate`: a simultaneous one waits for it. `id` is a job of /v1/imports.",
    requestBody={"required": True, "content": _json(_USERS, _USERS_EXAMPLE)},
    responses={
        "202": _told(
            "queued, as `Prefer: respond-async` asks for",
            _json(_RESULT, _RESULT_EXAMPLE | {"status": "pending"}),
            "Location",
            "Preference-Applied",
            "Retry-After",
        ),
        **{
            str(status): _told(why, _json(_object("error", error=_TEXT), {"error": text}))
            for status, (why, text) in _A_REFUSALS.items()
        },
    },
) | {"scopes": {"import"}}

# the one that every operation has is this one in another spelling
BULK["doc"]["parameters"].pop()

_CODED = _object("error", error=_object("code", "message", code=_TEXT, message=_TEXT))
_E_REFUSALS = {
    400: ("the file cannot be imported", "invalid_source", "source_path must be a .json file"),
    401: ("no good API key", "unauthorized", "this API key is unknown, revoked or expired"),
    403: ("not with this API key", "forbidden", "this API key may not use resource 'users'"),
    404: ("no import of users", "not_found", f"job {_ID} does not exist"),
    409: (
        "the first request with this Idempotency-Key is under way",
        "conflict",
        "the first request with this Idempotency-Key is still being received",
    ),
    413: ("the body is too large", "too_large", "the body is larger than 1 MB"),
    422: (
        "this Idempotency-Key came with another path",
        "conflict",
        "this Idempotency-Key was used for a request with other options or another file",
    ),
    429: ("too many requests", "too_many_requests", "more than 60 requests a minute"),
    503: ("not now", "unavailable", "the database is not available or too busy right now"),
}


def _e_refusals(*statuses: int) -> Schema:
    return {
        str(status): _told(why, _json(_CODED, {"error": {"code": code, "message": text}}))
        for status, (why, code, text) in _E_REFUSALS.items()
        if status in (401, 403, 429, 503, *statuses)
    }


_PATH: Schema = {
    "type": "string",
    "pattern": r"^([\w-][\w .-]*/)*[\w-][\w .-]*\.json$",
    "maxLength": 8192,
    "description": "below the folder, without `..`",
}
_STATUS: Schema = {"type": "string", "enum": ["queued", "processing", "completed", "failed"]}
_USER_IMPORT = _object(
    "job_id",
    "status",
    "imported_count",
    "updated_count",
    job_id=_UUID,
    status=_STATUS,
    source_path={"type": ["string", "null"]},
    total_count=_WHOLE,
    imported_count=_WHOLE,
    updated_count=_WHOLE | {"description": "users that were there already, changed or not"},
    failed_count=_WHOLE,
    ignored_fields={"type": "array", "items": _TEXT},
    error={"type": ["string", "null"]},
    created_at=_MOMENT,
    started_at=_MOMENT,
    completed_at=_MOMENT,
)
_USER_IMPORT_EXAMPLE: Schema = {
    "job_id": _ID,
    "status": "completed",
    "source_path": "users_data.json",
    "total_count": 1000,
    "imported_count": 980,
    "updated_count": 15,
    "failed_count": 5,
    "ignored_fields": ["favourite_colour"],
    "error": None,
    "created_at": JOB_EXAMPLE["created_at"],
    "started_at": JOB_EXAMPLE["started_at"],
    "completed_at": JOB_EXAMPLE["completed_at"],
}
USER_IMPORT: Schema = operation(
    "Import users with their addresses from a file of SLUICE_IMPORT_DIR (system E)",
    "earlier systems",
    _json(
        _object("data", data=_object("job_id", "status", job_id=_UUID, status=_STATUS)),
        {"data": {"job_id": _ID, "status": "queued"}},
    ),
    IDEMPOTENCY_KEY,
    refusals=(),
    headers=("Location", "Idempotent-Replayed"),
    status=202,
    description="The file is a JSON array or NDJSON. `id` of a record, of any type, is kept as "
    "`external_id`; users are found again by it, then by e-mail. A new user's role defaults to "
    "reader. Addresses replace those that the user had. Unknown keys are ignored and listed.",
    requestBody={
        "required": True,
        "content": _json(
            _object("source_path", source_path=_PATH) | {"additionalProperties": False},
            {"source_path": "users_data.json"},
        ),
    },
    responses=_e_refusals(400, 409, 413, 422),
) | {"scopes": {"import"}}
USER_IMPORT_JOB: Schema = operation(
    "How far such an import is (system E)",
    "earlier systems",
    _json(_object("data", data=_USER_IMPORT), {"data": _USER_IMPORT_EXAMPLE}),
    parameter("job_id", "the import", _UUID, "path"),
    refusals=(),
    responses=_e_refusals(404),
) | {"scopes": {"import"}}
