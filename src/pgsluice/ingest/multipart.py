"""multipart/form-data, streamed: one file, and fields before and after it."""

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import msgspec
from multipart import (  # type: ignore[import-untyped] # the library has no types
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from .errors import BadOption, MalformedBody, TooLarge

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

MAX_FIELD = 64 * 1024
MAX_PARTS = 100


class FilePart(msgspec.Struct):
    """The file of a form; `body` must be read before the fields behind it can be."""

    name: str
    file_name: str | None
    content_type: str | None
    body: AsyncIterator[bytes]


class Form:
    """A form that is read as it arrives.

    `file()` reads up to the file, `rest()` what comes behind it; `fields` holds the values of
    each field met so far, in order.
    """

    def __init__(self, content_type: str, chunks: AsyncIterable[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        if kind != "multipart/form-data":
            raise MalformedBody("the body must be multipart/form-data")
        if not options.get("boundary"):
            raise MalformedBody(
                "the Content-Type has no boundary: let the client set it (do not write "
                "Content-Type: multipart/form-data by hand)"
            )
        self.fields: dict[str, list[str]] = {}
        self._events = _events(options["boundary"], chunks)
        self._file: FilePart | None = None

    async def file(self) -> FilePart | None:
        """The file part, once the fields before it are read; None for a form without one."""
        await self._read_parts()
        return self._file

    async def rest(self) -> None:
        """Read the fields behind the file; raises BadOption for a second file."""
        if self._file is not None:
            async for _ in self._file.body:
                pass
            await self._read_parts()

    async def _read_parts(self) -> None:
        async for event in self._events:
            if not isinstance(event, MultipartSegment):
                continue
            if event.name != "file" and event.filename is None:
                await self._read_field(event.name)
                continue
            if self._file is not None:
                raise BadOption("the form has two files: send one file per request")
            # Some clients send a path; only its last part is the file's name.
            path = (event.filename or "").replace("\\", "/")
            name = _CONTROLS.sub("", path.rpartition("/")[2]) or None
            self._file = FilePart(event.name, name, event.content_type, self._body())
            return

    async def _read_field(self, name: str) -> None:
        value = b""
        async for block in self._body():
            value += block
            if len(value) > MAX_FIELD:
                raise TooLarge(f"the field {name[:40]!r} is longer than 64 KB: shorten it")
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise MalformedBody(f"the field {name[:40]!r} is not valid UTF-8") from None
        self.fields.setdefault(name, []).append(text)

    async def _body(self) -> AsyncIterator[bytes]:
        async for event in self._events:
            if event is None:
                return
            if isinstance(event, bytes):
                yield event


async def _events(boundary: str, chunks: AsyncIterable[bytes]) -> AsyncIterator[Any]:
    try:
        parser = PushMultipartParser(boundary, max_segment_count=MAX_PARTS)
        async for chunk in chunks:
            if chunk and not parser.closed:
                for event in parser.parse(chunk):
                    yield bytes(event) if isinstance(event, bytearray) else event
        parser.close()
    except ParserLimitReached as error:
        raise MalformedBody(
            f"the form is too large ({error}): send at most {MAX_PARTS} parts with short headers"
        ) from error
    except MultipartError as error:
        if isinstance(error.__context__, UnicodeDecodeError):
            raise MalformedBody(
                "the head of a part is not valid UTF-8: send field and file names as UTF-8"
            ) from error
        raise MalformedBody(
            f"the multipart/form-data body cannot be read ({error}): it was cut off, or its "
            "boundary is not the one in Content-Type"
        ) from error
