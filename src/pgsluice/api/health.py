"""Is it alive, can it work, what is wrong."""

import asyncio
from typing import Any

from litestar import Response, get

from ..database import problem_of
from ..errors import ProblemError, unavailable
from . import read_doc as doc
from .reply import json_reply
from .service import AnyRequest, service_of

_FRESH = {"Cache-Control": "no-store"}
# Who asks whether we can work waits a second or two, not as long as a request would.
_PATIENCE_SECONDS = 2.0


@get(["/health", "/healthz"], opt=doc.HEALTH)
async def health(request: AnyRequest) -> Response[bytes]:
    """Database, queue and workers as SQL sees them; 503 when one of them fails."""
    try:
        found = await _ask(request, "health")
    except ProblemError as exc:
        found = {
            "status": "unavailable",
            "database": "unavailable",
            "error": exc.detail,
        }
    else:
        found |= await _replica(request)
    return json_reply(found, 200 if found.get("status") == "ok" else 503, _FRESH)


@get("/ready", opt=doc.READY)
async def ready(request: AnyRequest) -> Response[bytes]:
    """200 once requests can be served."""
    try:
        release = await _ask(request, "release")
    except ProblemError as exc:
        return json_reply({"status": "unavailable", "error": exc.detail}, 503, _FRESH)
    told = {"status": "ready", "release": release, **await _replica(request)}
    return json_reply(told, headers=_FRESH)


async def _replica(request: AnyRequest) -> dict[str, Any]:
    """The replica that exports read, if there is one; without it we can work all the same."""
    replica = service_of(request).replica
    if replica.pool is None:
        return {}
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return {"replica": await replica.state(await _ask(request, "source_place"))}
    except (TimeoutError, ProblemError):
        return {"replica": {"status": "unavailable"}}


async def _ask(request: AnyRequest, name: str) -> Any:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await service_of(request).ask(name)
    except TimeoutError as exc:
        raise unavailable() from exc
    except Exception as exc:
        raise problem_of(exc) from exc


@get("/live", opt=doc.LIVE)
async def live() -> Response[bytes]:
    """200 as long as the process answers at all."""
    return json_reply({"status": "alive"}, headers=_FRESH)
