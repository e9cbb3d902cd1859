"""The body of a request: read as it comes, hashed on the way."""

import hashlib
import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from ..errors import ClientGoneError
from .service import AnyRequest

_PEEK = 64 * 1024


async def chunks(request: AnyRequest) -> AsyncIterator[bytes]:
    """The bytes of the body; ClientGoneError when the client leaves before the end."""
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        more = message.get("more_body", False)
        if body := message.get("body", b""):
            yield body


async def hashed(source: AsyncIterable[bytes], content: "hashlib._Hash") -> AsyncIterator[bytes]:
    """The same bytes, each of them counted into `content`."""
    async for chunk in source:
        content.update(chunk)
        yield chunk


async def split_object(
    source: AsyncIterable[bytes],
) -> tuple[dict[str, Any] | None, AsyncIterator[bytes]]:
    """The one small JSON object that was the whole body, or None; and what is still to be read."""
    head, held = aiter(source), b""
    async for chunk in head:
        held += chunk
        text = held.lstrip(b"\xef\xbb\xbf \t\r\n")
        if len(held) > _PEEK or (text and not text.startswith(b"{")):
            return None, _joined(held, head)
    found = _object(held)
    return found, _joined(held if found is None else b"", head)


async def _joined(held: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield held
    async for chunk in rest:
        yield chunk


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def declared_length(request: AnyRequest) -> int | None:
    """What Content-Length says, or None."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None
