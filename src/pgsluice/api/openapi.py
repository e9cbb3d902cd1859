"""The OpenAPI document: what stands beside each handler, put together from the real routes."""

import re
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from ..models import JOB_EXAMPLE, PROBLEM_EXAMPLE, SCHEMAS, STATUSES, Schema

_CODES = {
    401: "an API key is needed, or this one is not good",
    403: "this API key may not do that",
    429: "too many requests with this API key; Retry-After says when to go on",
    304: "the client has it already",
    400: "the request is wrong; `detail` says what to do",
    404: "there is no such thing",
    405: "not with this method",
    409: "the first request with this Idempotency-Key is still being received",
    413: "more than SLUICE_MAX_UPLOAD_BYTES",
    415: "this Content-Encoding is not understood",
    422: "this Idempotency-Key was used for another payload",
    503: "not now; Retry-After says when",
}
_REQUEST_ID: Schema = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "echoed; made when absent",
    "schema": {"type": "string", "maxLength": 128},
}
_ID_HEADER: Schema = {"X-Request-Id": {"schema": {"type": "string"}}}


def parameter(
    name: str, description: str, schema: Schema | None = None, where: str = "query", **more: Any
) -> Schema:
    """One parameter of an operation."""
    made: Schema = {"name": name, "in": where, "description": description}
    if where == "path":
        made["required"] = True
    return {**made, "schema": schema or {"type": "string"}, **more}


def content(schema: str, example: Any = None) -> Schema:
    """A JSON body that holds one of the named schemas."""
    media: Schema = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"application/json": media | ({"example": example} if example else {})}


def streams(*types: str) -> Schema:
    """A streamed body of any of these types."""
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}


def operation(
    summary: str,
    tag: str,
    body: Schema | None = None,
    *parameters: Schema,
    refusals: tuple[int, ...] = (400, 404, 503),
    headers: tuple[str, ...] = (),
    status: int = 200,
    **more: Any,
) -> Schema:
    """The handler's `opt` that describes it: a reply with `body`, and its refusals."""
    made = {name: {"schema": {"type": "string"}} for name in headers}
    responses: Schema = {
        str(status): {"description": "as asked", "headers": made | _ID_HEADER}
        | (
            {"content": body or {"application/json": {"schema": {"type": "object"}}}}
            if status != 204
            else {}
        )
    }
    for code in refusals:
        responses[str(code)] = _refusal(code)
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


def _refusal(code: int) -> Schema:
    problem = content("Problem", PROBLEM_EXAMPLE if code == 400 else None)
    reply: Schema = {"description": _CODES[code], "headers": _ID_HEADER}
    if code >= 400:
        reply["content"] = {"application/problem+json": problem["application/json"]}
    return reply


def build(app: Litestar, version: str) -> Schema:
    """The whole document, from the routes that the application really has."""
    paths: dict[str, Schema] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and "doc" in handler.opt:
                path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
                for method in handler.http_methods - {"OPTIONS"}:
                    described = {"security": [], **handler.opt["doc"]}
                    if handler.resolve_guards():
                        described = _guarded(handler.opt["doc"])
                    number = re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_")
                    paths.setdefault(path, {})[method.lower()] = {
                        "operationId": number,
                        **described,
                    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pgsluice",
            "version": version,
            "summary": "Bulk import and export for Postgres tables",
            "description": "`Accept-Profile: realworld` or `nest` has any reply show jobs as "
            "that earlier service did (docs/earlier-systems.md); 406 for another name.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
        # once a key has been made; before, whoever is on this machine needs none
        "security": [{"key": []}, {"bearer": []}, {}],
    }


def _guarded(doc: Schema) -> Schema:
    """What every request to the API may meet, beside what its own handler says."""
    guards = {str(code): _refusal(code) for code in (401, 403, 429)}
    return {**doc, "responses": dict(sorted({**guards, **doc["responses"]}.items()))}


FLAG: Schema = {"type": "boolean", "default": False}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_PAGE: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}


def _enum(*values: str, default: str | None = None) -> Schema:
    return {"type": "string", "enum": list(values)} | ({"default": default} if default else {})


_JOB_ID = parameter("job_id", "the job", {"type": "string", "format": "uuid"}, "path")
_NAME = parameter("name", "the resource", where="path", example="users")
_CURSOR = parameter("cursor", "`next` of the page before")
_PAGED = (
    parameter("status", "only jobs in this state", _enum(*STATUSES)),
    parameter("resource", "only jobs of this resource"),
    parameter("limit", "jobs in a page", _PAGE | {"default": 50}),
    _CURSOR,
)
_FIELD = parameter("field", "only errors of this field")
_CODE = parameter("code", "only errors with this code")
_ACCEPT = parameter("Accept-Encoding", "zstd or gzip compress the stream", where="header")
_MATCH = parameter("If-None-Match", "the ETag that is known", where="header")
_TABLES = ("text/csv", "application/x-ndjson", "application/json")
_FILE = ("Content-Disposition", "Content-Encoding", "Accept-Ranges", "Vary")
_JOB = content("Job", JOB_EXAMPLE)

_KIND = parameter("kind", "only jobs of this kind", _enum("import", "export"))
JOBS = operation(
    "All jobs, newest first", "jobs", content("Jobs"), _KIND, *_PAGED, headers=("Link",)
)
IMPORTS = operation(
    "All imports, newest first", "imports", content("Jobs"), *_PAGED, headers=("Link",)
)
IMPORT = operation(
    "One import with its first 100 errors",
    "imports",
    _JOB,
    _JOB_ID,
    _MATCH,
    refusals=(304, 404, 503),
    headers=("ETag", "Retry-After"),
)
ERRORS = operation(
    "The errors of an import; csv and ndjson stream all of them",
    "imports",
    content("Errors") | streams("text/csv", "application/x-ndjson"),
    _JOB_ID,
    _FIELD,
    _CODE,
    parameter("format", "json is a page", _enum("json", "csv", "ndjson", default="json")),
    parameter("limit", "errors in a page", _PAGE | {"default": 100}),
    parameter("offset", "errors to pass over", _WHOLE),
    _CURSOR,
    headers=("Link",),
)
SUMMARY = operation(
    "Errors counted by field, code and constraint, an example each", "imports", None, _JOB_ID
)
REJECTS = operation(
    "The rejected records as they were sent, to mend and send again",
    "imports",
    streams(*_TABLES),
    _JOB_ID,
    _ACCEPT,
    headers=_FILE,
)
EXPORTS = operation(
    "Stream the rows of a resource",
    "exports",
    streams("application/x-ndjson", "text/csv", "application/json"),
    parameter("resource", "what to export", required=True, example="users"),
    parameter("format", "form of the rows", _enum("ndjson", "csv", "json", default="ndjson")),
    parameter("fields", "which fields, in this order", example="id,email"),
    parameter("order", "fields to order by, `-` for descending", example="-created_at"),
    parameter("limit", "at most so many rows", _WHOLE),
    parameter("include", "children to nest into each row", example="addresses"),
    parameter("delimiter", "of csv: `,` `;` `|` or tab"),
    parameter("null", "of csv: what stands for null; default: an unquoted empty cell"),
    parameter("header", "of csv: true or false", {"type": "boolean", "default": True}),
    parameter("escape_formulas", "of csv: make texts that spreadsheets run harmless", FLAG),
    parameter("created_after", "rows created at or after", example="2026-01-01"),
    parameter("created_before", "rows created before", example="2026-02-01"),
    parameter(
        "filters",
        "any other parameter is a filter: `role=admin`, `role[in]=admin,editor`, "
        "`created_at[gte]=2026-01-01`; also `[gt] [lt] [lte] [ne] [null]`",
        {"type": "object", "additionalProperties": {"type": "string"}},
        style="form",
        explode=True,
    ),
    _ACCEPT,
    headers=_FILE,
)
RESOURCES = operation("What can be imported and exported", "resources", None, _MATCH)
RESOURCE = operation(
    "One resource: fields, keys, rules with messages, references, children",
    "resources",
    {"application/json": {"schema": {"type": "object"}}}
    | {"application/schema+json": {"schema": {"type": "object"}}},
    _NAME,
    parameter("format", "schema is a JSON Schema", _enum("json", "schema", default="json")),
    _MATCH,
    headers=("ETag", "Vary"),
)
TEMPLATE = operation(
    "A header and an example row to fill in",
    "resources",
    streams(*_TABLES),
    _NAME,
    parameter("format", "form of the file", _enum("csv", "ndjson", "json", default="csv")),
    headers=_FILE,
)
HEALTH = operation("Database, queue and workers", "service", refusals=(503,))
READY = operation("Can it work?", "service", refusals=(503,))
METRICS = operation(
    "Counts of all processes, for Prometheus",
    "service",
    {"text/plain": {"schema": {"type": "string"}}},
    refusals=(401, 404, 503),
)
LIVE = operation("Does it answer?", "service", refusals=())
