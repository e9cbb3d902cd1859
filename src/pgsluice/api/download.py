"""Downloads: a COPY on its way to a client, compressed on request, broken rather than cut short."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send

from ..compression import compressor
from ..copy import Outgoing, Sessions, stream_out
from ..database import Connection
from ..made_files import is_made
from .service import AnyRequest
from .workbooks import made_file

_ODD = re.compile(r"[^A-Za-z0-9._-]+")

Ask = Callable[[Connection], Awaitable[dict[str, Any]]]


class Download(ASGIStreamingResponse):
    """A stream that is closed when the client has it or has left: that cancels its statement."""

    def __init__(
        self, blocks: AsyncGenerator[bytes, None], headers: dict[str, str], status: int = 200
    ) -> None:
        super().__init__(iterator=blocks, headers=headers, status_code=status)
        self.blocks = blocks

    async def send_body(self, send: Send, receive: Receive) -> None:
        async with aclosing(self.blocks):
            await super().send_body(send, receive)


async def download(
    request: AnyRequest,
    pool: Sessions,
    ask: Ask,
    name: Callable[[dict[str, Any]], str],
    more: Mapping[str, str] = MappingProxyType({}),
) -> Download:
    """The reply that streams what `ask` describes (`copy`, `prefix`, `suffix`, `content_type`).

    Its first block is read here, so that an error of the query is still a proper refusal. A
    workbook or Parquet file is made whole before it is sent. `more` are headers of the reply.
    """
    about: dict[str, Any] = {}

    async def start(conn: Connection) -> Outgoing:
        about.update(await ask(conn))
        return Outgoing(about["copy"], about.get("prefix", ""), about.get("suffix", ""))

    blocks = stream_out(pool, start)
    first = await anext(blocks, b"")
    encoding = choose_encoding(request.headers.get("accept-encoding", ""))
    headers = {
        "Content-Disposition": disposition(name(about)),
        "Accept-Ranges": "none",
        "Cache-Control": "no-store",
        "Vary": "Accept, Accept-Encoding",
        "Content-Type": about["content_type"],
        **more,
    }
    if is_made(about):
        size, made = await made_file(request, _joined(first, blocks), about)
        return Download(made, headers | {"Content-Length": str(size), "Vary": "Accept"})
    if encoding:
        headers["Content-Encoding"] = encoding
    return Download(_compressed(first, blocks, encoding), headers)


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        if first:
            yield first
            async for block in rest:
                yield block


async def _compressed(
    first: bytes, blocks: AsyncGenerator[bytes, None], encoding: str | None
) -> AsyncGenerator[bytes, None]:
    packed = compressor(encoding)
    async with aclosing(blocks):
        block = first
        while block:
            data = block
            if packed is not None:
                data = await asyncio.to_thread(packed.compress, block)
            if data:
                yield data
            block = await anext(blocks, b"")
    if packed is not None:
        yield packed.flush()


def choose_encoding(accept: str) -> str | None:
    """zstd or gzip, whichever the client likes better; None for the bytes as they are."""
    weights: dict[str, float] = {}
    for entry in accept.lower().split(","):
        coding, _, parameters = entry.partition(";")
        weight = re.fullmatch(r"\s*q=([0-9.]+)\s*", parameters)
        try:
            weights[coding.strip()] = float(weight[1]) if weight else 1.0
        except ValueError:
            continue
    offers = [coding for coding in ("zstd", "gzip") if weights.get(coding, 0) > 0]
    return max(offers, key=lambda coding: weights[coding], default=None)


def disposition(name: str) -> str:
    """A Content-Disposition whose file name is harmless everywhere."""
    plain = _ODD.sub("_", name).strip("._") or "download"
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
