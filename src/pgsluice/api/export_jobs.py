"""Exports that run later: asked for by POST, watched, cancelled, retried, deleted."""

import hashlib
import json
from typing import Any

from litestar import Response, delete, get, post

from ..errors import ProblemError
from ..made_files import require_format
from . import export_doc as doc
from .accepted import accepted, replayed
from .idempotency import claimed, compare, read_key
from .json_body import json_object
from .life import cancel_reply, delete_job, retry_reply
from .profile import shown
from .query import Fields, parse_id, parse_query
from .reply import retry_after, tagged_reply
from .service import AnyRequest, service_of
from .urls import check_urls

_SCOPE = "POST exports"


@post("/exports", opt=doc.POST, status_code=202)
async def post_export(request: AnyRequest) -> Response[bytes]:
    """Make an export to the file store a job; SQL judges all of its request at once."""
    query = parse_query(request.scope["query_string"], ("resource", "format"))
    service, key = service_of(request), read_key(request.headers.get("idempotency-key"))
    asked = await _asked(request, query)
    check_urls(service.settings, asked, "callback_url")
    require_format(asked.get("format"))
    digest = _digest(asked)
    async with claimed(service, key, _SCOPE) as first:
        if first is not None:
            compare(first, digest)
            return await replayed(request, service, first)
        job = await service.ask(
            "export_create",
            request=asked,
            digest=digest,
            idempotency_key=key,
            idempotency_scope=_SCOPE if key else None,
        )
    return await accepted(request, service, job, key, _SCOPE)


async def _asked(request: AnyRequest, query: Fields) -> dict[str, Any]:
    """The JSON body, with what an earlier system had in the query; that may be all there is."""
    has_body = (
        request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    )
    asked = await json_object(request) if has_body or not query.values else {}
    for name, value in query.values.items():
        if asked.get(name, value) != value:
            raise ProblemError(
                400, f"{name!r} has one value in the query and another in the body; give it once"
            )
    return asked | query.values


def _digest(asked: dict[str, Any]) -> str:
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"POST\n{text}".encode()).hexdigest()


@get("/exports/{job_id:str}", opt=doc.GET)
async def get_export(request: AnyRequest, job_id: str) -> Response[bytes]:
    """One export; its download_url once it is done."""
    parse_query(request.scope["query_string"], ())
    job = await service_of(request).job(parse_id(job_id))
    if job["kind"] != "export":
        raise ProblemError(404, f"job {job_id} is an {job['kind']}; see its links")
    return tagged_reply(request, await shown(request, job), retry_after(job))


@post("/exports/{job_id:str}/cancel", opt=doc.CANCEL, status_code=202)
async def cancel_export(request: AnyRequest, job_id: str) -> Response[bytes]:
    """Cancel an export: its statement stops, its half file goes."""
    return await cancel_reply(request, "export", job_id)


@post("/exports/{job_id:str}/retry", opt=doc.RETRY, status_code=202)
async def retry_export(request: AnyRequest, job_id: str) -> Response[bytes]:
    """The same export again, as a new job that names the old one."""
    return await retry_reply(request, "export", job_id, ())


@delete("/exports/{job_id:str}", opt=doc.DELETE, status_code=204)
async def delete_export(request: AnyRequest, job_id: str) -> None:
    """Remove an export that has ended, and its files."""
    await delete_job(request, "export", job_id)
