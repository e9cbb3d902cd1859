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
from ..errors import ProblemError
from ..settings import Settings
from .service import Service

log = logging.getLogger("pgsluice.access")

_VALID_ID = re.compile(rb"[\x21-\x7e]{1,128}")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# A refusal that crosses an upload: go on reading for a while, else the kernel answers the bytes
# under way with a reset and the client may lose the reply it had not read yet.
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 64 * 1024 * 1024


# A body that brings less than this in SLUICE_UPLOAD_IDLE seconds only keeps us busy.
_LEAST_BYTES = 1024
_LONGEST_PATH = 1000

# For browsers: nothing here is to be guessed at, framed, run or read by a page of another site.
_GUARDS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class SlowReaderError(Exception):
    """The client has not read its reply for as long as the settings allow."""

    def __init__(self) -> None:
        super().__init__("the client reads nothing of its reply")


class Envelope:
    """The outermost ASGI layer; `request_id` is in the scope's state for whoever logs."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._service.settings)
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
            exchange.count(self._service.counts)


class _Exchange:
    """One request and its reply."""

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send, settings: Settings) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._settings = settings
        self._waited = 0.0
        self._brought = 0
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
        message: Any = await self._next()
        if message["type"] == "http.disconnect":
            self._left = not self._complete
            self._unread = False
        elif message["type"] == "http.request" and not message.get("more_body", False):
            self._unread = False
        return message

    async def _next(self) -> Any:
        """The next message; 408 when the body comes more slowly than a body does."""
        if not self._unread or self.status:
            return await self._receive()
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._settings.upload_idle - self._waited)):
                message: Any = await self._receive()
        except TimeoutError:
            raise ProblemError(
                408,
                f"less than {_LEAST_BYTES} bytes of the body came in {self._settings.upload_idle} "
                "seconds; send it faster, or see SLUICE_UPLOAD_IDLE",
            ) from None
        # Only waiting counts: what the database takes its time for is not the client's fault.
        self._waited += time.monotonic() - started
        self._brought += len(message.get("body", b""))
        if self._brought >= _LEAST_BYTES:
            self._waited, self._brought = 0.0, 0
        return message

    async def _pass_on(self, message: Any) -> None:
        """Send it; a client that reads nothing for too long loses its connection."""
        try:
            async with asyncio.timeout(self._settings.download_idle):
                await self._send(message)
        except TimeoutError:
            raise SlowReaderError from None

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            headers.append((b"x-request-id", self.request_id))
            given = {name.lower() for name, _ in headers}
            headers.extend(field for field in _GUARDS if field[0] not in given)
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
                await self._pass_on({"type": "http.response.body", "body": body, "more_body": True})
                await self._linger()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._pass_on(message)

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
            "path": self._scope["path"][:_LONGEST_PATH],
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
