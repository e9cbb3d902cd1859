"""The commands that are clients of a running service: one request, one reply, plain words."""

import logging
from typing import Any

import httpx
import msgspec

from .settings import Settings

# Each request would be a line in the log.
logging.getLogger("httpx").setLevel(logging.WARNING)


class ClientError(Exception):
    """The service cannot be reached, or has refused; the message says what to do."""


def ask(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    """The reply of the service to one request, decoded; None when it has no body.

    `path` stands below the API's prefix: "schedules/nightly".
    """
    url = f"{settings.url.rstrip('/')}/{settings.api_prefix}/{path}"
    try:
        reply = httpx.request(method, url, json=body, timeout=30, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise ClientError(
            f"no service answers at {settings.url} ({exc or type(exc).__name__}): start "
            "`pgsluice serve`, or say where it is by --url or SLUICE_URL"
        ) from exc
    if reply.is_success:
        return _decoded(reply) if reply.content else None
    raise ClientError(_reason(reply))


def _decoded(reply: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ClientError(
            f"what answers at {reply.url} is no pgsluice: its reply is no JSON"
        ) from exc


def _reason(reply: httpx.Response) -> str:
    problem = _decoded(reply)
    if isinstance(problem, dict) and isinstance(detail := problem.get("detail"), str):
        return detail
    return f"{reply.url} replied {reply.status_code} {reply.reason_phrase}: is that pgsluice?"
