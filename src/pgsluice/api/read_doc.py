"""How the routes that only read are described in the OpenAPI document."""

from ..examples import EXAMPLE_ID, HEALTH_EXAMPLE, JOB_EXAMPLE, RESOURCE_EXAMPLE, SUMMARY_EXAMPLE
from ..models import ERROR_CODES, STATUSES, Schema
from .openapi import (
    ACCEPT_ENCODING,
    ACCEPT_PROFILE,
    IF_NONE_MATCH,
    IMPORT_ID,
    PARQUET,
    TEXT,
    XLSX,
    content,
    enum,
    flag,
    linked,
    operation,
    parameter,
    refused,
    shapes,
    streams,
    told,
)

_PAGE: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
_NAME = parameter("name", "the resource", where="path", example="users")
_CURSOR = parameter(
    "cursor", "`next` of the page before, with the other parameters as they were there"
)
_PAGED = (
    parameter("status", "only jobs in this state", enum(*STATUSES)),
    parameter("resource", "only jobs of this resource", example="users"),
    parameter(
        "search", "only jobs with this in their id, or in the name of file, resource or schedule"
    ),
    parameter("limit", "jobs in a page", _PAGE | {"default": 50}),
    _CURSOR,
)
_FILE = ("Content-Disposition", "Content-Encoding", "Accept-Ranges", "Cache-Control", "Vary")
_TABLES = ("text/csv", "application/x-ndjson", "application/json", XLSX)
_LIST = shapes("Jobs", "ShapedJobs")
_NO_JOB = (
    "a parameter is wrong, or the cursor is of another list",
    (
        "the cursor is not one that this list gave. take it from next, and keep the other "
        "parameters as they were"
    ),
)
_FIRST_JOB = linked(
    "first", "get_import", "get_errors", "get_rejects", job_id="$response.body#/jobs/0/job_id"
)

JOBS = operation(
    "All jobs, newest first",
    "jobs",
    _LIST,
    parameter("kind", "only jobs of this kind", enum("import", "export")),
    *_PAGED,
    ACCEPT_PROFILE,
    refusals=(),
    headers=("Link",),
    links=linked("next", "list_jobs", cursor="$response.body#/next"),
    responses={"400": refused(400, *_NO_JOB)},
)
IMPORTS = operation(
    "All imports, newest first",
    "imports",
    _LIST,
    *_PAGED,
    ACCEPT_PROFILE,
    refusals=(),
    headers=("Link",),
    links=_FIRST_JOB | linked("next", "list_imports", cursor="$response.body#/next"),
    responses={"400": refused(400, *_NO_JOB)},
)
IMPORT = operation(
    "One import with its first 100 errors",
    "imports",
    shapes("ImportJob", "RealworldJob", "NestJob", example=JOB_EXAMPLE),
    IMPORT_ID,
    IF_NONE_MATCH,
    ACCEPT_PROFILE,
    refusals=(304, 400, 404),
    headers=("ETag", "Cache-Control", "Retry-After"),
    description="A job that failed is a 200 too: its `error` says why.",
)
ERRORS = operation(
    "The errors of an import; csv and ndjson stream all of them",
    "imports",
    content("Errors") | streams("text/csv", "application/x-ndjson"),
    IMPORT_ID,
    parameter("field", "only errors of this field", example="email"),
    parameter("code", "only errors with this code", enum(*ERROR_CODES)),
    parameter(
        "format",
        "json is a page of them; default: as Accept says, else json",
        enum("json", "csv", "ndjson"),
    ),
    parameter("limit", "errors in a page; 100 if not given", _PAGE),
    parameter(
        "offset", "errors to pass over", {"type": "integer", "minimum": 0, "maximum": 10**12}
    ),
    _CURSOR,
    parameter(
        "escape_formulas",
        "of csv: an apostrophe before texts that a spreadsheet would run",
        flag(default=True),
    ),
    ACCEPT_ENCODING,
    refusals=(404,),
    headers=("Link", *_FILE),
    links=linked(
        "next", "get_errors", job_id="$request.path.job_id", cursor="$response.body#/next"
    ),
    responses={
        "400": refused(
            400,
            "a parameter is wrong, or does not go with a stream",
            "format=csv streams all errors; leave out limit",
        )
    },
)
SUMMARY = operation(
    "Errors counted by field, code and constraint, an example each",
    "imports",
    content("ErrorSummary", SUMMARY_EXAMPLE),
    IMPORT_ID,
)
REJECTS = operation(
    "The rejected records as they were sent, to mend and send again",
    "imports",
    streams(*_TABLES),
    IMPORT_ID,
    parameter(
        "format",
        "default: that of the upload, of Parquet csv; csv and xlsx stand for each other",
        enum("csv", "xlsx", "ndjson", "json"),
    ),
    parameter(
        "escape_formulas",
        "of csv: an apostrophe before texts that a spreadsheet would run; for looking, not for "
        "sending again: no import takes it away",
        flag(),
    ),
    ACCEPT_ENCODING,
    headers=(*_FILE, "Content-Length"),
    description="In the format, columns and order of the upload, with `_row` and `_errors`, which "
    "a new import ignores. In a workbook the cells that are wrong have a fill, and a note that "
    "says why.",
    responses={
        "409": refused(
            409,
            "the form of its file is not known yet",
            f"the file of import {EXAMPLE_ID} has not been read. rejects have the form of the "
            "file, which is not known yet",
        )
    },
)
RESULTS = operation(
    "What became of each good record: row, action, key",
    "imports",
    streams("application/x-ndjson", "text/csv", "application/json"),
    IMPORT_ID,
    parameter(
        "format",
        "form of the rows; default: as Accept says, else ndjson",
        enum("ndjson", "csv", "json"),
    ),
    ACCEPT_ENCODING,
    headers=_FILE,
    responses={
        "409": refused(
            409,
            "the import did not ask for results=true",
            f"import {EXAMPLE_ID} did not ask for results. import with results=true to have the "
            "outcome of each record kept",
        )
    },
)
EXPORTS = operation(
    "Stream the rows of a resource",
    "exports",
    streams("application/x-ndjson", "text/csv", "application/json", XLSX, PARQUET),
    parameter("resource", "what to export", required=True, example="users"),
    parameter(
        "format",
        "form of the rows; default: as Accept says, else ndjson",
        enum("ndjson", "csv", "json", "xlsx", "parquet"),
    ),
    parameter("fields", "which fields, in this order", example="id,email"),
    parameter("order", "fields to order by, `-` for descending", example="-created_at"),
    parameter(
        "limit", "at most so many rows", {"type": "integer", "minimum": 0, "maximum": 10**15}
    ),
    parameter("include", "children to nest into each row (not in csv)", example="addresses"),
    parameter("delimiter", "of csv", enum(",", ";", "|", "\t")),
    parameter("null", "of csv: what stands for null; default: an unquoted empty cell"),
    parameter("header", "of csv and xlsx: whether there is one", flag(default=True)),
    parameter("escape_formulas", "of csv: make texts that spreadsheets run harmless", flag()),
    parameter("created_after", "rows created at or after", example="2026-01-01"),
    parameter("created_before", "rows created before", example="2026-12-31"),
    parameter(
        "filters",
        "any other parameter is a filter: `role=admin`, `role[in]=admin,editor`, "
        "`created_at[gte]=2026-01-01`; also `[gt] [lt] [lte] [ne] [null]`",
        {"type": "object", "additionalProperties": TEXT},
        style="form",
        explode=True,
    ),
    ACCEPT_ENCODING,
    refusals=(),
    headers=(*_FILE, "Content-Length", "X-Read-From"),
    responses={
        "400": refused(
            400,
            "a parameter or filter is wrong; `detail` names it",
            "unknown resource 'user'. known resources: addresses, articles, comments, users",
        )
    },
)
RESOURCES = operation(
    "What can be imported and exported",
    "resources",
    content({"type": "array", "items": {"$ref": "#/components/schemas/Resource"}}),
    IF_NONE_MATCH,
    refusals=(304, 400),
    headers=("ETag", "Cache-Control"),
    links=linked("first", "get_resource", "get_template", name="$response.body#/0/name"),
)
_AS_SCHEMA = {"application/schema+json": {"schema": {"type": "object", "required": ["$schema"]}}}
RESOURCE = operation(
    "One resource: fields, keys, rules with messages, references, children",
    "resources",
    content("Resource", RESOURCE_EXAMPLE) | _AS_SCHEMA,
    _NAME,
    parameter(
        "format",
        "schema is a JSON Schema; default: as Accept says, else json",
        enum("json", "schema"),
    ),
    IF_NONE_MATCH,
    refusals=(304, 400, 404),
    headers=("ETag", "Cache-Control", "Vary"),
)
TEMPLATE = operation(
    "A header and an example row to fill in",
    "resources",
    streams(*_TABLES),
    _NAME,
    parameter(
        "format",
        "form of the file; default: as Accept says, else csv",
        enum("csv", "ndjson", "json", "xlsx"),
    ),
    ACCEPT_ENCODING,
    headers=(*_FILE, "Content-Length"),
)

_SICK = {
    "status": "unavailable",
    "database": "unavailable",
    "error": "the database is not available or too busy right now; try again in a few seconds",
}
HEALTH = operation(
    "Database, queue and workers",
    "service",
    content("Health", HEALTH_EXAMPLE),
    refusals=(),
    headers=("Cache-Control",),
    responses={
        "503": told(
            "one of them fails: `status` of each says which",
            "Cache-Control",
            content=content("Health", _SICK),
        )
    },
)
_STATUS = {"type": "string", "description": "what it is, in a word"}
READY = operation(
    "Can it work?",
    "service",
    content(
        {
            "type": "object",
            "required": ["status", "release"],
            "properties": {
                "status": {"const": "ready"},
                "release": TEXT,
                "replica": {"$ref": "#/components/schemas/Replica"},
            },
        },
        {"status": "ready", "release": HEALTH_EXAMPLE["release"]},
    ),
    refusals=(),
    headers=("Cache-Control",),
    responses={
        "503": told(
            "not now",
            "Cache-Control",
            content=content(
                {
                    "type": "object",
                    "required": ["status", "error"],
                    "properties": {"status": {"const": "unavailable"}, "error": TEXT},
                },
                {"status": "unavailable", "error": _SICK["error"]},
            ),
        )
    },
)
LIVE = operation(
    "Does it answer?",
    "service",
    content(
        {"type": "object", "required": ["status"], "properties": {"status": {"const": "alive"}}},
        {"status": "alive"},
    ),
    refusals=(),
    headers=("Cache-Control",),
)
METRICS = operation(
    "Counts of all processes, for Prometheus",
    "service",
    {
        "text/plain": {
            "schema": TEXT,
            "example": "# TYPE bulk_import_export_active_jobs gauge\n"
            'bulk_import_export_active_jobs{type="import"} 1.0\n',
        }
    },
    refusals=(503,),
    headers=("Cache-Control",),
    description="With SLUICE_METRICS_KEY set, that key is needed, as any other would be shown.",
    security=[{}, {"bearer": []}, {"key": []}],
    responses={
        "401": refused(
            401,
            "SLUICE_METRICS_KEY is set, and this is another",
            "metrics need the key of SLUICE_METRICS_KEY, as Authorization: Bearer",
            "WWW-Authenticate",
        ),
        "404": refused(
            404, "there are none: SLUICE_METRICS=off", "metrics are switched off: SLUICE_METRICS"
        ),
    },
)
HTML: Schema = {"text/html": {"schema": TEXT, "example": "<!doctype html>…"}}
OPENAPI = operation("This document", "service", content({"type": "object"}), refusals=())
DOCS = operation("This document as a page, which needs nothing else", "service", HTML, refusals=())
