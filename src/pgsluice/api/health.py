"""Is it alive, can it work, what is wrong."""

from litestar import Response, get

from ..database import problem_of
from . import openapi as doc
from .reply import json_reply
from .service import AnyRequest, service_of

_FRESH = {"Cache-Control": "no-store"}


@get(["/health", "/healthz"], opt=doc.HEALTH)
async def health(request: AnyRequest) -> Response[bytes]:
    """Database, queue and workers as SQL sees them; 503 when one of them fails."""
    try:
        found = await service_of(request).ask("health")
    except Exception as exc:
        found = {
            "status": "unavailable",
            "database": "unavailable",
            "error": problem_of(exc).detail,
        }
    return json_reply(found, 200 if found.get("status") == "ok" else 503, _FRESH)


@get("/ready", opt=doc.READY)
async def ready(request: AnyRequest) -> Response[bytes]:
    """200 once requests can be served."""
    try:
        release = await service_of(request).ask("release")
    except Exception as exc:
        return json_reply({"status": "unavailable", "error": problem_of(exc).detail}, 503, _FRESH)
    return json_reply({"status": "ready", "release": release}, headers=_FRESH)


@get("/live", opt=doc.LIVE)
async def live() -> Response[bytes]:
    """200 as long as the process answers at all."""
    return json_reply({"status": "alive"}, headers=_FRESH)
