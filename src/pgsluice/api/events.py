"""Server-sent events: the progress of a job, then its end, whichever process works on it."""

import hashlib
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from litestar import Response, get
from litestar.response.base import ASGIResponse

from ..errors import ProblemError
from . import life_doc
from .download import Download
from .query import parse_id, parse_query
from .service import AnyRequest, Service, service_of
from .watch import State

_PING_SECONDS = 5.0
_RETRY = b"retry: 2000\n\n"
_PING = b": still here\n\n"
_END = "end"
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


@get("/imports/{job_id:str}/events", opt=life_doc.EVENTS)
async def import_events(request: AnyRequest, job_id: str) -> ASGIResponse:
    """The progress of an import as it happens."""
    return await events_reply(request, "import", job_id)


@get("/exports/{job_id:str}/events", opt=life_doc.EXPORT_EVENTS)
async def export_events(request: AnyRequest, job_id: str) -> ASGIResponse:
    """The progress of an export as it happens."""
    return await events_reply(request, "export", job_id)


async def events_reply(request: AnyRequest, kind: str, job_id: str) -> ASGIResponse:
    """The stream of a job's events; 204 for a client that has seen the end: it must not return."""
    parse_query(request.scope["query_string"], ())
    service, number = service_of(request), parse_id(job_id)
    progress = await service.ask("job_progress", job_id=number)
    if progress["kind"] != kind:
        raise ProblemError(
            404, f"job {number} is an {progress['kind']}; see its links for where its events are"
        )
    request.scope["state"]["job_id"] = str(number)
    seen = request.headers.get("last-event-id")
    if seen == _END:
        empty: Response[None] = Response(None, status_code=204)
        return empty.to_asgi_response(app=None, request=request)
    return Download(_events(service, progress, seen), _HEADERS)


async def _events(
    service: Service, progress: dict[str, Any], seen: str | None
) -> AsyncGenerator[bytes, None]:
    yield _RETRY
    sent: State | None = None
    quiet_since = time.monotonic()
    async with service.watches.follow(parse_id(progress["job_id"])) as watch:
        while True:
            state = watch.state
            if state is not None and state is not sent:
                sent = state
                number = _number(state)
                if number != seen:
                    seen = number
                    quiet_since = time.monotonic()
                    yield _event(state, number)
            elif watch.over:
                return
            # a job is looked at more often than it moves: what is not told breaks no silence
            elif not await watch.changed(quiet_since + _PING_SECONDS - time.monotonic()):
                quiet_since = time.monotonic()
                yield _PING


def _number(state: State) -> str:
    """The id of an event: what it tells, but for the speed, which changes with the clock."""
    if state.ended:
        return _END
    told = {name: value for name, value in state.body.items() if name != "metrics"}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]


def _event(state: State, number: str) -> bytes:
    name = _END if state.ended else "progress"
    data = msgspec.json.encode(state.body).decode()
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode()
