"""What the descriptions of routes are made of: parameters, headers, replies, refusals, links."""

from typing import Any

from ..errors import title_of
from ..examples import EXAMPLE_ID
from ..models import Schema

TAGS = {
    "imports": "A file in: posted, or fetched from a URL, a folder or the file store. Each makes a "
    "job, which ends with a verdict for every record.",
    "exports": "A file out: streamed at once, or made by a worker to be downloaded.",
    "jobs": "Imports and exports together, and their webhooks.",
    "resources": "What can be imported and exported, with fields, keys and rules.",
    "schedules": "Imports and exports that begin by the clock.",
    "keys": "API keys; for keys with the scope admin.",
    "service": "Is it alive, can it work, what does it do. No key is needed.",
    "earlier systems": "Calls of services that came before this one, as they were.",
}
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
TEXT = _TEXT
JOB_UUID: Schema = {"type": "string", "format": "uuid"}

HEADERS: dict[str, Schema] = {
    name: {"description": description, "schema": schema}
    for name, (description, schema) in {
        "Accept-Encoding": ("codings that are understood", _TEXT),
        "Accept-Ranges": ("`bytes`, or `none` for what is made while it is sent", _TEXT),
        "Allow": ("methods that go with this path", _TEXT),
        "Cache-Control": ("how long it stays true", _TEXT),
        "Content-Disposition": ("name of the file", _TEXT),
        "Content-Encoding": ("`gzip` or `zstd`, as Accept-Encoding allowed", _TEXT),
        "Content-Length": ("bytes of this reply", _WHOLE),
        "Content-Range": ("which bytes of the file these are", _TEXT),
        "ETag": (
            'names this state: weak (`W/"…"`) of a document, strong of a file',
            {"type": "string", "pattern": '^(W/)?"[0-9a-f]+"$'},
        ),
        "Idempotent-Replayed": (
            "the first reply to this Idempotency-Key again, with the job as it is now",
            {"type": "string", "enum": ["true"]},
        ),
        "Last-Modified": ("when the file was written", _TEXT),
        "Link": (
            'the next page: `</v1/jobs?cursor=…>; rel="next"`; absent on the last one',
            {"type": "string", "pattern": '^<.+>; rel="next"$'},
        ),
        "Location": ("where the thing answers, or is found", {"type": "string", "minLength": 1}),
        "Preference-Applied": ("what of Prefer was done: `wait=10`, `respond-async`", _TEXT),
        "RateLimit-Limit": ("requests a minute that this key may send, if it is limited", _WHOLE),
        "RateLimit-Remaining": ("requests that it may still send in this minute", _WHOLE),
        "RateLimit-Reset": ("seconds until it may send as many again", _WHOLE),
        "Repr-Digest": ("SHA-256 of the whole file (RFC 9530)", _TEXT),
        "Retry-After": ("seconds after which to ask again", _WHOLE),
        "Vary": ("request headers that this reply depends on", _TEXT),
        "WWW-Authenticate": ("how to show a key", _TEXT),
        "X-Read-From": (
            "which server was read, where exports have a replica",
            {"type": "string", "enum": ["primary", "replica"]},
        ),
        "X-Request-Id": (
            "of the request; it is in the log too",
            {"type": "string", "minLength": 1},
        ),
    }.items()
}
_REQUEST_ID: Schema = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "echoed if it is 1 to 128 visible ASCII characters; else another is made",
    "schema": _TEXT,
}
_JOB_MISSING = f"job {EXAMPLE_ID} does not exist. the list of jobs shows which do"
_MISSING = {
    "resources": "unknown resource 'nightly'. known resources: addresses, articles, comments, "
    "users",
    "schedules": "there is no schedule 'nightly'. the list of schedules shows all",
    "keys": "there is no key named 'nightly'. select name from sluice.api_keys shows which there "
    "are",
}
_BUSY = "the database is not available or too busy right now; try again in a few seconds"
# Everywhere the same: what it means, an example of its detail, headers.
_COMMON: dict[int, tuple[str, str, tuple[str, ...]]] = {
    401: (
        "an API key is needed, or this one is not good",
        "an API key is needed: send it as X-API-Key or Authorization: Bearer",
        ("WWW-Authenticate",),
    ),
    403: (
        "this API key may not do that, or not with this resource",
        "this API key may export; import is needed here",
        (),
    ),
    406: (
        "there is no such profile",
        "unknown profile 'other'; Accept-Profile takes default, realworld or nest",
        (),
    ),
    408: (
        "the body came too slowly",
        "less than 1024 bytes of the body came in 30 seconds; see SLUICE_UPLOAD_IDLE",
        (),
    ),
    413: (
        "too large: SLUICE_MAX_UPLOAD_BYTES for a file, 1 MB for a request",
        "the body is larger than 1 MB; a request is a small object",
        (),
    ),
    429: (
        "too many requests, uploads or bytes of this API key; Retry-After says when to go on",
        "more than 60 requests a minute; try again in 17 seconds",
        ("Retry-After",),
    ),
    503: ("not now; Retry-After says when", _BUSY, ("Retry-After",)),
}


def reply_headers(*names: str) -> Schema:
    """These headers of a reply, and X-Request-Id, which all have."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-Id")}


def common_refusals() -> Schema:
    """The refusals that mean the same on every route."""
    return {
        str(code): refused(code, why, detail, *headers)
        for code, (why, detail, headers) in _COMMON.items()
    }


def refused(status: int, why: str, detail: str, *headers: str) -> Schema:
    """A refusal of one route, with an example of what it says."""
    problem: Schema = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "instance": "/v1/imports",
        "error": detail,
    }
    media = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": problem}
    return told(why, *headers, content={"application/problem+json": media})


def told(description: str, *headers: str, **more: Any) -> Schema:
    """A reply with these headers."""
    return {"description": description, "headers": reply_headers(*headers), **more}


def parameter(
    name: str, description: str, schema: Schema | None = None, where: str = "query", **more: Any
) -> Schema:
    """One parameter of an operation."""
    made: Schema = {"name": name, "in": where, "description": description}
    if where == "path":
        made["required"] = True
    return {**made, "schema": schema or _TEXT, **more}


def flag(*, default: bool = False) -> Schema:
    """A parameter that is true or false."""
    return {"type": "boolean", "default": default}


def enum(*values: str, default: str | None = None) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(values)} | ({"default": default} if default else {})


def or_null(schema: Schema) -> Schema:
    """The same as a member of a request: null is as good as absent."""
    if "oneOf" in schema:
        return {**schema, "oneOf": [*schema["oneOf"], {"type": "null"}]}
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **more}


def content(schema: str | Schema, example: Any = None) -> Schema:
    """A JSON body that holds one of the named schemas, or this one."""
    if isinstance(schema, str):
        schema = {"$ref": f"#/components/schemas/{schema}"}
    return {"application/json": {"schema": schema} | ({"example": example} if example else {})}


def shapes(*names: str, example: Any = None) -> Schema:
    """A JSON body in the shape that Accept-Profile asks for: any of the named schemas."""
    return content({"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}, example)


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PARQUET = "application/vnd.apache.parquet"
_FORMS: dict[str, tuple[Schema, Any]] = {
    "text/csv": (_TEXT, "id,email\n182fa2af-1827-401c-ab91-29aaf81f0ade,ann@example.org\n"),
    "application/x-ndjson": (_TEXT, '{"email": "ann@example.org"}\n'),
    "application/json": (
        {"type": "array", "items": {"type": "object"}},
        [{"email": "ann@example.org"}],
    ),
}


def streams(*types: str) -> Schema:
    """A streamed body of any of these types."""
    binary = ({"type": "string", "format": "binary"}, None)
    made = {}
    for kind in types:
        schema, example = _FORMS.get(kind, binary)
        made[kind] = {"schema": schema} | ({"example": example} if example else {})
    return made


def job_links(kind: str, where: str = "$response.body#/job_id") -> Schema:
    """From the reply that has made a job to what can be done with it."""
    one = f"{kind}s"
    targets = {
        "self": f"get_{kind}",
        "cancel": f"cancel_{kind}",
        "retry": f"retry_{kind}",
        "events": f"{kind}_events",
        "delete": f"delete_{kind}",
        "deliveries": "get_deliveries",
        "redeliver": "redeliver",
    }
    if kind == "import":
        for name in ("errors", "error_summary", "rejects", "results"):
            targets[name] = f"get_{name}"
    else:
        targets["download"] = "download_export"
    return {
        name: {
            "operationId": target,
            "parameters": {"job_id": where},
            "description": f"of {one}",
        }
        for name, target in targets.items()
    }


def linked(label: str, /, *targets: str, **parameters: str) -> Schema:
    """Links from a reply to these operations, each with the same parameters."""
    return {
        f"{label} {target}": {"operationId": target, "parameters": parameters} for target in targets
    }


def operation(
    summary: str,
    tag: str,
    body: Schema | None = None,
    *parameters: Schema,
    refusals: tuple[int, ...] = (400, 404),
    headers: tuple[str, ...] = (),
    status: int = 200,
    why: str = "as asked",
    links: Schema | None = None,
    **more: Any,
) -> Schema:
    """The handler's `opt` that describes it: a reply with `body`, and its refusals."""
    reply = told(why, *headers)
    if status != 204 and not 300 <= status < 400:
        reply["content"] = body or content({"type": "object"})
    if links:
        reply["links"] = links
    responses: Schema = {str(status): reply}
    for code in refusals:
        responses[str(code)] = _refusal(code, tag, parameters)
    responses.update(more.pop("responses", {}))
    return {
        "doc": {
            "summary": summary,
            "tags": [tag],
            "parameters": [*parameters, _REQUEST_ID],
            "responses": responses,
            **more,
        }
    }


def _refusal(code: int, tag: str, parameters: tuple[Schema, ...]) -> Schema:
    if code == 304:
        return told("the client has it already: nothing is sent", "ETag", "Cache-Control")
    if code == 404:
        return refused(404, "there is no such thing", _MISSING.get(tag, _JOB_MISSING))
    if code == 400:
        known = sorted(one["name"] for one in parameters if one["in"] == "query")
        hint = f"known here: {', '.join(known)}" if known else "it takes none"
        return refused(
            400, "a parameter is wrong; `detail` names it", f"unknown query parameter 'zz'; {hint}"
        )
    return {"$ref": f"#/components/responses/{code}"}


# --- parameters that many have ----------------------------------------------------------------

IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "one job however often it is sent: 1 to 255 printable ASCII characters, bare or in quotes. "
    "The same key with another payload is 422; while the first request is being received, 409",
    {
        "type": "string",
        "pattern": r'^[ \t]*("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-~]([ !#-~]{0,253}[!#-~])?)[ \t]*$',
    },
    "header",
)
PREFER = parameter(
    "Prefer",
    "`wait=N`: reply when the job has ended, after N seconds at the latest (at most 60)",
    where="header",
    example="wait=2",
)
IF_NONE_MATCH = parameter(
    "If-None-Match", "the ETag that is known: 304 if it still holds", where="header"
)
ACCEPT_ENCODING = parameter(
    "Accept-Encoding", "zstd or gzip compress the stream", where="header", example="gzip"
)
ACCEPT_PROFILE = parameter(
    "Accept-Profile",
    "the shape of jobs: ours (default), or that of an earlier service",
    {"type": "string", "pattern": "^[ \\t]*(default|realworld|nest)?[ \\t]*$"},
    "header",
)
IMPORT_ID = parameter("job_id", "the import", JOB_UUID, "path")
EXPORT_ID = parameter("job_id", "the export", JOB_UUID, "path")
JOB_ID = parameter("job_id", "the job", JOB_UUID, "path")
