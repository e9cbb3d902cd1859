"""HTTP/1.1 with bounds: what uvicorn's protocol leaves to a proxy in front of it.

A head has 20 seconds, 64 KB and 100 fields. What frames a body (sizes of chunks, their extensions,
trailers) may not outweigh it. A target or framing that another server could read otherwise is
refused, and so is what comes behind a request that wants another protocol: no request hides in
another one.
"""

import asyncio
import json
import logging
import re
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from .errors import ProblemError

log = logging.getLogger("pgsluice.protocol")

HEAD_SECONDS = 20.0
HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 100
# Requests that one connection may send before the first of them is answered.
PIPELINE = 16
CONNECTIONS = 5000

# Libraries read a name out of anything; what is none must not look like one that may be trusted.
_HOST = re.compile(rb"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])?(:[0-9]{0,5})?")
# Bytes of framing for each byte of a body: a chunk of one byte has five.
_FRAMING = 16
# How long a refused client is listened to, so that it reads the refusal instead of a reset.
_LINGER_SECONDS = 2.0
_FLUSH_SECONDS = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._refusal: ProblemError | None = None
        self._over = False
        self._head = 0
        self._around = 0
        self._body = 0
        self._fed = 0

    # uvicorn narrows the type that asyncio gives, and so do we
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come; it has to say what it wants."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(ProblemError(503, "too many connections at once; try again later"))
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: whatever works for it hears of it."""
        self._forget_head()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the bounds."""
        if self._over:
            return
        self._unset_keepalive_if_required()
        self._fed = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # We answer in HTTP/1.1, and do not guess in what language it goes on.
            self._over = True
            self.cycle.keep_alive = False
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal or ProblemError(400, "this is no HTTP request"))
            return
        self._around += len(data) - self._fed
        if self._around > HEAD_BYTES + _FRAMING * self._body:
            self._refuse(_too_large())
        elif self._is_idle() and self._timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head = self._around = self._body = 0
        if self._timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head or of a trailer."""
        self._count(len(name) + len(value))
        if len(self.headers) >= HEAD_FIELDS:
            self._raise(ProblemError(431, f"the request has more than {HEAD_FIELDS} header fields"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what could be read in two ways."""
        self._forget_head()
        version = self.parser.get_http_version()
        if refusal := _judge(self.headers, self.url, version):
            self._raise(refusal)
        if self.parser.should_upgrade() and _brings_body(self.headers):
            # The parser takes such a body for the next request.
            self._raise(ProblemError(400, "send a body without an Upgrade of the protocol"))
        if len(self.pipeline) >= PIPELINE:
            self._raise(ProblemError(429, f"more than {PIPELINE} requests wait for their replies"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._fed += len(body)
        self._body += len(body)
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle

        async def ended(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            finally:
                if self.transport.is_closing() or not cycle.response_complete:
                    self._abort_later()

        super()._start_asgi_task(cycle, ended)

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _abort_later(self) -> None:
        """A close waits until all is sent; a client that reads nothing would hold it for ever."""
        self.loop.call_later(_FLUSH_SECONDS, self.transport.abort)

    def _is_idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_BYTES:
            self._raise(_too_large())

    def _raise(self, refusal: ProblemError) -> None:
        """Stop the parser; `data_received` refuses."""
        self._refusal = refusal
        raise refusal

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _forget_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if self._around or self._head:
            detail = f"the head of the request did not come within {HEAD_SECONDS:.0f} seconds"
            self._refuse(ProblemError(408, detail))
        else:
            self.transport.close()

    def _refuse(self, refusal: ProblemError) -> None:
        """Answer and close, unless a reply is under way that this would end up in."""
        self._forget_head()
        self._unset_keepalive_if_required()
        self._over = True
        request_id = str(uuid4())
        fields = {"request_id": request_id, "status": refusal.status, "client": self.client}
        log.info("%s", refusal.detail, extra={"fields": fields})
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or cycle.response_started or not cycle.more_body:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        body = json.dumps(refusal.body("")).encode()
        head = (
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[refusal.status] + head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def _too_large() -> ProblemError:
    return ProblemError(
        431, f"the head of the request, or what frames its body, is larger than {HEAD_BYTES} bytes"
    )


def _brings_body(headers: list[tuple[bytes, bytes]]) -> bool:
    given = dict(headers)
    return given.get(b"content-length", b"0").strip(b"0") != b"" or b"transfer-encoding" in given


def _judge(headers: list[tuple[bytes, bytes]], target: bytes, version: str) -> ProblemError | None:
    """A refusal for a head that says two things."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        return ProblemError(400, "the request must have one Host")
    if hosts and not _HOST.fullmatch(hosts[0]):
        return ProblemError(400, "the Host of the request names none")
    if not target.startswith(b"/") and target != b"*":
        named = urlsplit(target).netloc
        if named.lower() != (hosts[0].lower() if hosts else b""):
            return ProblemError(400, "the target of the request and its Host are not the same")
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and version == "1.0":
        return ProblemError(400, "HTTP/1.0 has no Transfer-Encoding")
    if codings not in ([], [b"chunked"]):
        return ProblemError(501, "the only Transfer-Encoding that is understood is chunked")
    return None
