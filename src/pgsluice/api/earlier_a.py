"""System A: up to 10,000 users at once, all or none, with X-Request-ID as the idempotency key."""

import asyncio
import re
from typing import Any
from weakref import WeakValueDictionary

from litestar import Response, post

from ..database import acting, call
from ..errors import ProblemError
from ..ingest.body import as_text
from ..ingest.errors import BadOption
from . import earlier_doc
from .body import chunks, declared_length
from .earlier import BULK_USERS
from .incoming import media_type_of
from .quota import within_quota
from .reply import is_running, json_reply, retry_after
from .service import AnyRequest, Service, service_of

_SECONDS = 30
_MOST = 64 * 1024 * 1024
_ASYNC = re.compile(r"(?:^|[,;])\s*respond-async\s*(?=$|[,;])", re.IGNORECASE)

# Postgres has the last word on who is first; here simultaneous repeats wait without a connection.
_turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()


@post(BULK_USERS, opt=earlier_doc.BULK, status_code=200)
async def bulk_users(request: AnyRequest) -> Response[bytes]:
    """Import users here and now; with `Prefer: respond-async` by a worker."""
    service = service_of(request)
    cap = min(service.settings.max_upload_bytes or _MOST, _MOST)
    _judge_head(request, cap)
    request_id = request.headers.get("x-request-id", request.scope["state"]["request_id"])
    queued = _ASYNC.search(request.headers.get("prefer", "")) is not None
    with service.upload_slot():
        async with within_quota(service.pool):
            body = await _body(request, cap)
            try:
                async with asyncio.timeout(_SECONDS):
                    job = await _import(service, request_id, body, queued=queued)
            except TimeoutError:
                raise ProblemError(
                    503,
                    f"it took longer than {_SECONDS} seconds and was rolled back: nothing was "
                    "written. Send it again with the same X-Request-ID",
                    {"Retry-After": "5"},
                ) from None
    request.scope["state"]["job_id"] = job["id"]
    headers = {"Vary": "Prefer"} | ({"Preference-Applied": "respond-async"} if queued else {})
    if not is_running(job):
        return json_reply(job, 200, headers)
    headers |= {"Location": service.path("imports", job["id"])} | retry_after(job)
    return json_reply(job, 202, headers)


async def _import(service: Service, request_id: str, body: str, *, queued: bool) -> dict[str, Any]:
    caller = acting.get()
    name = (caller.id if caller else "", request_id.lower())
    turn = _turns.setdefault(name, asyncio.Lock())
    async with turn, service.uploads.connection() as conn:
        job: dict[str, Any] = await call(
            conn, "bulk_users", request_id=request_id, body=body, queued=queued
        )
    return job


def _judge_head(request: AnyRequest, cap: int) -> None:
    if media_type_of(request) not in ("application/json", ""):
        raise ProblemError(415, "send the users as application/json")
    length = declared_length(request)
    if length is not None and length > cap:
        raise ProblemError(413, f"the body has {length} bytes, more than the {cap} allowed here")


async def _body(request: AnyRequest, cap: int) -> str:
    coding = request.headers.get("content-encoding")
    try:
        text = as_text(chunks(request), content_encoding=coding, max_bytes=cap)
    except BadOption as exc:
        raise ProblemError(415, exc.detail, {"Accept-Encoding": "gzip, zstd"}) from None
    held = bytearray()
    async for chunk in text:
        held += chunk
    try:
        body = held.decode()
    except UnicodeDecodeError:
        raise ProblemError(400, "the body is not UTF-8 text") from None
    if "\0" in body:
        raise ProblemError(400, "the body holds a NUL byte, which JSON has not")
    return body
