"""The body of a request: read as it comes, hashed on the way."""

import hashlib
import json
from collections.abc import AsyncIterable, AsyncIterator

from ..errors import ClientGoneError, ProblemError
from .options import FROM_URL
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


async def refuse_lone_object(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, unless they are one small JSON object: that would be a URL request."""
    head, held = aiter(source), b""
    async for chunk in head:
        held += chunk
        text = held.lstrip(b"\xef\xbb\xbf \t\r\n")
        if len(held) > _PEEK or (text and not text.startswith(b"{")):
            break
    else:
        _refuse_if_object(held)
    yield held
    async for chunk in head:
        yield chunk


def _refuse_if_object(body: bytes) -> None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    if value.keys() & {"url", "file_url", "fileUrl", "source_path", "sourcePath"}:
        raise ProblemError(400, FROM_URL)
    raise ProblemError(
        400,
        "a lone JSON object is no list of records; send an array, "
        "or lines with Content-Type: application/x-ndjson",
    )


def declared_length(request: AnyRequest) -> int | None:
    """What Content-Length says, or None."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None
