"""Idempotency-Key: one job however often a request is sent."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ..database import Connection, Error, call
from ..errors import ProblemError
from .service import Service

log = logging.getLogger("pgsluice.api")

SCOPE = "POST imports"
_KEY = re.compile(
    r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,510})"|([\x20\x21\x23-\x7e]{1,255})'
)


def read_key(header: str | None) -> str | None:
    """The key that the header carries, bare or quoted; None without the header."""
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    key = found and (re.sub(r'\\(["\\])', r"\1", found[1]) if found[1] else found[2])
    if not key or len(key) > 255:
        raise ProblemError(
            400, "Idempotency-Key must be 1 to 255 printable ASCII characters, bare or in quotes"
        )
    return key


@asynccontextmanager
async def claimed(
    service: Service, key: str | None, scope: str = SCOPE
) -> AsyncIterator[dict[str, Any] | None]:
    """Hold the key while its request is received; a request that fails leaves it free again.

    `scope` is the method and the route. Yields what is known of an earlier request with this key,
    None for a new one.
    """
    if key is None:
        yield None
        return
    reply = await service.ask("idempotency_claim", key=key, scope=scope)
    if reply["state"] == "receiving":
        raise ProblemError(
            409,
            "the first request with this Idempotency-Key is still being received; "
            "wait for its reply or try again",
            {"Retry-After": "1"},
        )
    if reply["state"] == "done":
        yield reply
        return
    try:
        yield None
    except BaseException:
        await asyncio.shield(_release(service, key, scope))
        raise


async def replied(service: Service, key: str | None, scope: str, status: int) -> None:
    """Keep the status of the first reply for those that come later; 202 is what SQL assumes."""
    if key is not None and status != 202:
        await service.ask("idempotency_replied", key=key, scope=scope, status=status)


async def beat(key: str | None, conn: Connection) -> None:
    """Show that the upload which holds the key is still under way."""
    if key is not None:
        await call(conn, "idempotency_beat", key=key, scope=SCOPE)


async def _release(service: Service, key: str, scope: str) -> None:
    try:
        async with service.pool.connection() as conn:
            await call(conn, "idempotency_release", key=key, scope=scope)
    except Error as exc:
        # Its heartbeat has stopped: the sweeper frees it within a minute.
        log.warning("the idempotency key of a refused request is not freed yet: %s", exc)


def compare(first: dict[str, Any], digest: str) -> None:
    """Refuse a key that comes back with another payload."""
    if first["digest"] != digest:
        raise ProblemError(
            422,
            "this Idempotency-Key was used for a request with other options or another file; "
            "send a new key",
        )
