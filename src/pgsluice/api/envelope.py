"""Around every request: its id, one log line, and a clean end when it is answered early."""

import asyncio
import logging
import re
import time
from typing import Any
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ..counting import Counts

log = logging.getLogger("pgsluice.access")

_VALID_ID = re.compile(rb"[\x21-\x7e]{1,128}")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# A refusal that crosses an upload: go on reading for a while, else the kernel answers the bytes
# under way with a reset and the client may lose the reply it had not read yet.
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 64 * 1024 * 1024


class Envelope:
    """The outermost ASGI layer; `request_id` is in the scope's state for whoever logs."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as exc:
            if not exchange.status:
                raise
            # The reply is under way and cannot be taken back. Returning without its last block
            # makes the server break the connection, so that no client takes it for complete.
            exchange.broken = exc
        finally:
            exchange.report()
            exchange.count(self._counts)


class _Exchange:
    """One request and its reply."""

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        headers = dict(scope["headers"])
        self._unread = (
            headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        )
        given = headers.get(b"x-request-id", b"")
        self.request_id = given if _VALID_ID.fullmatch(given) else str(uuid4()).encode()
        scope["state"]["request_id"] = self.request_id.decode()
        self._started = time.perf_counter()
        self._sent = 0
        self._complete = False
        self._left = False
        self.status = 0
        self.broken: Exception | None = None

    async def receive(self) -> Any:
        message: Any = await self._receive()
        if message["type"] == "http.disconnect":
            self._left = not self._complete
            self._unread = False
        elif message["type"] == "http.request" and not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            headers.append((b"x-request-id", self.request_id))
            rate = self._scope["state"].get("rate", {})
            headers.extend(
                (f"ratelimit-{name}".encode(), str(rate[name]).encode())
                for name in ("limit", "remaining", "reset")
                if name in rate
            )
            if self._unread:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        elif message["type"] == "http.response.body":
            body, last = message.get("body", b""), not message.get("more_body", False)
            self._sent += len(body)
            self._complete = last
            if last and self._unread:
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
                await self._linger()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _linger(self) -> None:
        left = _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while self._unread and left > 0:
                    message = await self.receive()
                    if message["type"] == "http.request":
                        left -= len(message.get("body", b""))
        except TimeoutError:
            return

    def report(self) -> None:
        """Write the one log line of this request."""
        state = self._scope["state"]
        line = {
            "request_id": self.request_id.decode(),
            "method": self._scope["method"],
            "path": self._scope["path"],
            "status": self.status or 500,
            "bytes": self._sent,
            "duration_ms": round((time.perf_counter() - self._started) * 1000, 1),
        }
        if job_id := state.get("job_id"):
            line["job_id"] = job_id
        if self._left:
            line["client_left"] = True
        if self.broken is not None:
            line["broken"] = str(_root(self.broken))
        level = logging.ERROR if self.broken else logging.INFO
        log.log(level, "%s %s", line["method"], line["path"], extra={"fields": line})

    def count(self, counts: Counts) -> None:
        """Count this request under the template of its route, which holds no value of its own."""
        route = str(self._scope.get("path_template") or "unmatched")
        seconds = time.perf_counter() - self._started
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        counts.add(method, route, self.status or 500, seconds)


def _root(exc: BaseException) -> BaseException:
    """What started it, inside the groups and causes that frameworks wrap around it."""
    while inner := exc.exceptions[0] if isinstance(exc, BaseExceptionGroup) else exc.__cause__:
        exc = inner
    return exc
