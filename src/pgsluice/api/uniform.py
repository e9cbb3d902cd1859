"""What every route answers alike: HEAD and OPTIONS, the Allow header, compressed documents."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ..compression import compressor
from .download import choose_encoding

# Below this a coding costs more than it saves.
_LEAST_BYTES = 1024
_COMPRESSED = (
    b"application/json",
    b"application/problem+json",
    b"application/schema+json",
    b"text/css",
    b"text/html",
    b"text/javascript",
    b"text/plain",
)
# A download knows HEAD itself: it has a length to tell without reading the file.
_OWN_HEAD = "/download"


class Uniform:
    """An ASGI layer around the routes; streams pass through it untouched."""

    def __init__(self, app: ASGIApp, methods: Mapping[str, set[str]]) -> None:
        """`methods` are those that each route template takes."""
        self.app = app
        self._allow = {
            path: ", ".join(sorted({*taken, "OPTIONS", *({"HEAD"} if "GET" in taken else ())}))
            for path, taken in methods.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        inner: HTTPScope = {**scope}
        is_head = scope["method"] == "HEAD" and not scope["path"].endswith(_OWN_HEAD)
        if is_head:
            inner["method"] = "GET"
        reply = _Reply(self._allow, inner, send, is_head=is_head)
        try:
            await self.app(inner, receive, reply.send)
        finally:
            # for whoever counts requests by route
            if "path_template" in inner:
                scope["path_template"] = inner["path_template"]


class _Reply:
    """One reply on its way out."""

    def __init__(
        self, allow: Mapping[str, str], scope: HTTPScope, send: Send, *, is_head: bool
    ) -> None:
        self._allow, self._scope, self._send, self._is_head = allow, scope, send, is_head
        self._start: Any = None
        self._ended = False

    async def send(self, message: Any) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            self._start = self._with_allow(message)
            return
        if self._start is not None:
            start, self._start = self._start, None
            if not message.get("more_body", False):
                message = await self._compressed(start, message)
            await self._send(start)
        if self._is_head and message["type"] == "http.response.body":
            # What streams without an end has shown its head. The server tells it that nobody
            # listens any more.
            self._ended = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _with_allow(self, start: Any) -> Any:
        if start["status"] == 405:
            found = dict(start["headers"]).get(b"allow", b"").decode()
            methods = {word.strip() for word in found.split(",") if word.strip()}
            allow = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        elif self._scope["method"] == "OPTIONS":
            allow = self._allow.get(str(self._scope.get("path_template", "")), "")
        else:
            return start
        if not allow:
            return start
        return {**start, "headers": [*_without(start["headers"], b"allow"), _field("allow", allow)]}

    async def _compressed(self, start: Any, message: Any) -> Any:
        body = message.get("body", b"")
        headers = dict(start["headers"])
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
        if len(body) < _LEAST_BYTES or kind not in _COMPRESSED or b"content-encoding" in headers:
            return message
        vary = headers.get(b"vary", b"").decode()
        if "accept-encoding" not in vary.lower():
            vary = f"{vary}, Accept-Encoding" if vary else "Accept-Encoding"
        start["headers"] = [*_without(start["headers"], b"vary"), _field("vary", vary)]
        coding = choose_encoding(_accepted(self._scope))
        if packed := compressor(coding):
            body = await asyncio.to_thread(lambda: packed.compress(body) + packed.flush())
            start["headers"] = [
                *_without(start["headers"], b"content-length"),
                _field("content-length", str(len(body))),
                _field("content-encoding", str(coding)),
            ]
        return {**message, "body": body}


def _accepted(scope: HTTPScope) -> str:
    return ",".join(
        value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-encoding"
    )


def _without(headers: Any, name: bytes) -> list[tuple[bytes, bytes]]:
    return [field for field in headers if field[0].lower() != name]


def _field(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode(), value.encode()
