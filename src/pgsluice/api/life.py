"""What is done to a job after it was accepted: cancel, retry, delete."""

import hashlib
import json
from typing import Any
from uuid import UUID

from litestar import Response, delete, post

from ..errors import ProblemError
from . import life_doc, options
from .accepted import accepted, replayed
from .idempotency import claimed, compare, read_key
from .json_body import json_object
from .profile import shown
from .query import Fields, parse_id, parse_query
from .reply import json_reply
from .service import AnyRequest, Service, service_of

RETRY_SCOPE = "POST retry"
_OPTIONS = (*options.PARSING, *options.JUDGED)


@post("/imports/{job_id:str}/cancel", opt=life_doc.CANCEL, status_code=202)
async def cancel_import(request: AnyRequest, job_id: str) -> Response[bytes]:
    """Cancel an import, whatever it is doing."""
    return await cancel_reply(request, "import", job_id)


@post("/imports/{job_id:str}/retry", opt=life_doc.RETRY, status_code=202)
async def retry_import(request: AnyRequest, job_id: str) -> Response[bytes]:
    """Judge again what an import has left undone, in a new one."""
    return await retry_reply(request, "import", job_id, _OPTIONS)


@delete("/imports/{job_id:str}", opt=life_doc.DELETE, status_code=204)
async def delete_import(request: AnyRequest, job_id: str) -> None:
    """Remove an import that has ended, with all that is kept of it."""
    await delete_job(request, "import", job_id)


async def cancel_reply(request: AnyRequest, kind: str, job_id: str) -> Response[bytes]:
    """202 with the cancelled job; 409 when it has ended."""
    service, number = await _known(request, kind, job_id)
    parse_query(request.scope["query_string"], ())
    job = await service.ask("cancel_job", job_id=number)
    return json_reply(await shown(request, job), 202)


async def delete_job(request: AnyRequest, kind: str, job_id: str) -> None:
    """Remove an ended job and what belongs to it; 409 while it runs."""
    service, number = await _known(request, kind, job_id)
    parse_query(request.scope["query_string"], ())
    await service.ask("delete_job", job_id=number)


async def retry_reply(
    request: AnyRequest, kind: str, job_id: str, known: tuple[str, ...]
) -> Response[bytes]:
    """202 and the new job; options stand in the query or in a JSON body, both under `known`."""
    service, number = await _known(request, kind, job_id)
    key = read_key(request.headers.get("idempotency-key"))
    given = options.for_sql(await _options(request, known))
    digest = _digest(number, given)
    async with claimed(service, key, RETRY_SCOPE) as first:
        if first is not None:
            compare(first, digest)
            return await replayed(request, service, first)
        job = await service.ask(
            "retry_job",
            job_id=number,
            options=given,
            digest=digest,
            idempotency_key=key,
            idempotency_scope=RETRY_SCOPE if key else None,
        )
    return await accepted(request, service, job, key, RETRY_SCOPE)


async def _known(request: AnyRequest, kind: str, job_id: str) -> tuple[Service, UUID]:
    """The service and the job's id, if the job is of this kind: 404."""
    service, number = service_of(request), parse_id(job_id)
    request.scope["state"]["job_id"] = str(number)
    progress = await service.ask("job_progress", job_id=number)
    if progress["kind"] != kind:
        raise ProblemError(404, f"job {number} is an {progress['kind']}; see its links")
    return service, number


async def _options(request: AnyRequest, known: tuple[str, ...]) -> dict[str, str]:
    query = parse_query(request.scope["query_string"], known)
    body = Fields(known, where="option")
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        for name, value in (await json_object(request)).items():
            body.add(name, _text(value))
    return options.merge(query, body)


def _text(value: Any) -> str:
    """A value of JSON as the query would have it."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _digest(job_id: UUID, given: dict[str, Any]) -> str:
    text = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"POST retry\n{job_id}\n{text}".encode()).hexdigest()
