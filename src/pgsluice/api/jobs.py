"""Reading jobs: lists, one job, its errors, its rejects."""

from functools import partial
from pathlib import PurePosixPath
from typing import Any

from litestar import Response, get
from litestar.response.base import ASGIResponse

from ..database import Connection, call
from ..errors import ProblemError
from ..models import ERROR_CODES
from . import read_doc as doc
from .download import Download, download
from .profile import shown, shown_list
from .query import Fields, parse_id, parse_query
from .reply import form_of, json_reply, next_link, retry_after, tagged_reply
from .service import AnyRequest, service_of

_LIST = ("status", "resource", "search", "limit", "cursor")
_FLAG = ("true", "false")
_ERRORS = ("field", "code", "format", "limit", "offset", "cursor", "escape_formulas")


@get("/jobs", opt=doc.JOBS)
async def list_jobs(request: AnyRequest) -> Response[bytes]:
    """All jobs, newest first."""
    fields = parse_query(request.scope["query_string"], ("kind", *_LIST))
    kind = fields.get("kind")
    if kind is not None:
        fields.choice("kind", ("import", "export"), "")
    return await _list(request, kind, fields)


@get("/imports", opt=doc.IMPORTS)
async def list_imports(request: AnyRequest) -> Response[bytes]:
    """All imports, newest first."""
    return await _list(request, "import", parse_query(request.scope["query_string"], _LIST))


async def _list(request: AnyRequest, kind: str | None, fields: Fields) -> Response[bytes]:
    service = service_of(request)
    page = await service.ask(
        "jobs_json",
        kind=kind,
        status=fields.get("status"),
        resource=fields.get("resource"),
        limit=fields.whole("limit", 1, 1000) or 50,
        cursor=fields.get("cursor"),
        search=fields.get("search"),
    )
    page["jobs"] = await shown_list(request, page["jobs"])
    return json_reply(page, headers=next_link(request, fields.values, page["next"]))


@get("/imports/{job_id:str}", opt=doc.IMPORT)
async def get_import(request: AnyRequest, job_id: str) -> Response[bytes]:
    """One job with its first errors."""
    parse_query(request.scope["query_string"], ())
    job = await service_of(request).job(parse_id(job_id))
    if job["kind"] != "import":
        raise ProblemError(404, f"job {job_id} is an {job['kind']}; see its links")
    return tagged_reply(request, await shown(request, job), retry_after(job))


@get("/imports/{job_id:str}/errors", opt=doc.ERRORS)
async def get_errors(request: AnyRequest, job_id: str) -> ASGIResponse:
    """The errors of a job: a page as JSON, or all of them streamed as CSV or NDJSON."""
    fields = parse_query(request.scope["query_string"], _ERRORS)
    form = form_of(request, fields, ("json", "csv", "ndjson"))
    limit = fields.whole("limit", 1, 1000)
    offset = fields.whole("offset", 0, 10**12)
    escape = fields.choice("escape_formulas", _FLAG, "true") == "true"
    chosen = {
        "job_id": parse_id(job_id),
        "field": fields.get("field"),
        "code": fields.get("code"),
    }
    if chosen["code"] is not None:
        fields.choice("code", ERROR_CODES, "")
    service = service_of(request)
    if form == "json":
        page = await service.ask(
            "errors_json",
            **chosen,
            limit=limit or 100,
            cursor=fields.get("cursor"),
            offset=offset or 0,
        )
        reply = json_reply(page, headers=next_link(request, fields.values, page["next"]))
        return reply.to_asgi_response(app=None, request=request)
    if paging := [name for name in ("limit", "offset", "cursor") if name in fields.values]:
        raise ProblemError(400, f"format={form} streams all errors; leave out {paging[0]}")
    return await download(
        request,
        service.downloads,
        lambda conn: call(conn, "errors_copy", **chosen, format=form, escape_formulas=escape),
        lambda about: f"errors-{job_id}.{about['extension']}",
    )


@get("/imports/{job_id:str}/errors/summary", opt=doc.SUMMARY)
async def get_error_summary(request: AnyRequest, job_id: str) -> Response[bytes]:
    """Counts of errors by field, code and constraint, with an example each."""
    parse_query(request.scope["query_string"], ())
    return json_reply(await service_of(request).ask("error_summary", job_id=parse_id(job_id)))


@get("/imports/{job_id:str}/rejects", opt=doc.REJECTS)
async def get_rejects(request: AnyRequest, job_id: str) -> Download:
    """The rejected records in the upload's own format: mend them and post them again."""
    fields = parse_query(request.scope["query_string"], ("format", "escape_formulas"))
    form = None
    if "format" in fields.values:
        form = fields.choice("format", ("csv", "xlsx", "ndjson", "json"), "")
    escape = fields.choice("escape_formulas", _FLAG, "false") == "true"
    service = service_of(request)
    return await download(
        request,
        service.downloads,
        partial(_ask_rejects, job_id, form, escape),
        _rejects_name,
    )


@get("/imports/{job_id:str}/results", opt=doc.RESULTS)
async def get_results(request: AnyRequest, job_id: str) -> Download:
    """What became of each good record of an import that asked for results=true."""
    fields = parse_query(request.scope["query_string"], ("format",))
    form = form_of(request, fields, ("ndjson", "csv", "json"))
    number = parse_id(job_id)
    return await download(
        request,
        service_of(request).downloads,
        lambda conn: call(conn, "results_copy", job_id=number, format=form),
        lambda about: f"results-{job_id}.{about['extension']}",
    )


async def _ask_rejects(
    job_id: str, form: str | None, escape: bool, conn: Connection
) -> dict[str, Any]:
    number = parse_id(job_id)
    job = await call(conn, "job_json", job_id=number)
    about: dict[str, Any] = await call(
        conn, "rejects_copy", job_id=number, format=form, escape_formulas=escape
    )
    return about | {"file_name": job.get("file_name") or job["resource"] or "import"}


def _rejects_name(about: dict[str, Any]) -> str:
    name = PurePosixPath(about["file_name"].replace("\\", "/")).name
    passed = (".gz", ".zst", ".xlsx", ".parquet", ".pq", f".{about['extension']}")
    while PurePosixPath(name).suffix.lower() in passed:
        name = PurePosixPath(name).stem
    return f"{name}.rejects.{about['extension']}"
