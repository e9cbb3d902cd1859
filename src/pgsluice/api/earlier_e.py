"""System E: a worker imports users, with their addresses, from a file of the import folder."""

import hashlib
from typing import Any

from litestar import Response, get, post

from ..database import Error, problem_of
from ..errors import ProblemError
from ..ingest.fetch_errors import Unfetchable
from ..ingest.folder import check_path
from . import earlier_doc
from .earlier import USER_IMPORTS, InvalidSourceError
from .idempotency import claimed, compare, read_key
from .json_body import json_object
from .query import parse_id
from .reply import json_reply
from .service import AnyRequest, Service, service_of

_SCOPE = "POST imports/users"


@post(USER_IMPORTS, opt=earlier_doc.USER_IMPORT, status_code=202)
async def post_user_import(request: AnyRequest) -> Response[bytes]:
    """Queue the import of a file; whether there is one is found by the worker."""
    service = service_of(request)
    key = read_key(request.headers.get("idempotency-key"))
    path = _source_path(service, await json_object(request))
    digest = hashlib.sha256(f"{_SCOPE}\n{path}".encode()).hexdigest()
    headers = {}
    async with claimed(service, key, _SCOPE) as first:
        if first is not None:
            compare(first, digest)
            job = await service.ask("user_import", job_id=first["job"]["job_id"])
            headers["Idempotent-Replayed"] = "true"
        else:
            job = await _queue(service, path, digest, key)
    request.scope["state"]["job_id"] = job["job_id"]
    headers["Location"] = f"{USER_IMPORTS}/{job['job_id']}"
    return json_reply({"data": {"job_id": job["job_id"], "status": job["status"]}}, 202, headers)


@get(USER_IMPORTS + "/{job_id:str}", opt=earlier_doc.USER_IMPORT_JOB)
async def get_user_import(request: AnyRequest, job_id: str) -> Response[bytes]:
    """How far the import is, in this system's words."""
    job = await service_of(request).ask("user_import", job_id=parse_id(job_id))
    return json_reply({"data": job})


async def _queue(service: Service, path: str, digest: str, key: str | None) -> dict[str, Any]:
    try:
        job: dict[str, Any] = await service.ask(
            "import_users_from",
            source_path=path,
            digest=digest,
            idempotency_key=key,
            idempotency_scope=_SCOPE if key else None,
        )
    except Error as exc:
        problem = problem_of(exc)
        # nothing but the path is asked for
        raise InvalidSourceError(problem.detail) if problem.status == 400 else problem from exc
    return job


def _source_path(service: Service, body: dict[str, Any]) -> str:
    if unknown := body.keys() - {"source_path", "sourcePath"}:
        raise ProblemError(400, f"{min(unknown)!r} is not known here; send source_path alone")
    path = body.get("source_path", body.get("sourcePath"))
    if not isinstance(path, str) or not path.strip():
        raise InvalidSourceError("source_path is required: the name of a .json file")
    if not path.lower().endswith(".json"):
        raise InvalidSourceError("source_path must be a .json file")
    try:
        check_path(service.settings.import_dir, path)
    except (Unfetchable, ProblemError) as exc:
        raise InvalidSourceError(str(exc)) from exc
    return path
