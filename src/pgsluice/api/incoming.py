"""A file on its way in: alone, or in a form with options before and behind it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import ProblemError
from ..ingest.format import detect
from ..ingest.multipart import Form
from . import options
from .body import chunks, hashed, split_object
from .query import Fields, canonical, parse_query
from .service import AnyRequest

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
_LONGEST_FORM = 64 * 1024


@dataclass
class Received:
    """What has come in: options and format as known so far, hash as read so far."""

    query: Fields
    form: Fields = field(default_factory=lambda: Fields(options.KNOWN, where="form field"))
    content: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    format: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """The options of query and form as one."""
        return options.merge(self.query, self.form)

    @property
    def source(self) -> dict[str, str]:
        """Where the file is to be fetched from; empty for a request that brings it."""
        return {name: value for name, value in self.values.items() if name in options.SOURCES}

    @property
    def digest(self) -> str:
        """The fingerprint of the request, once its file has been read."""
        return options.fingerprint(self.values, self.content)


def media_type_of(request: AnyRequest) -> str:
    """The media type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass
class IncomingFile:
    """The bytes of the file, and what its surroundings say of it."""

    body: AsyncIterator[bytes]
    name: str | None
    media_type: str | None


@asynccontextmanager
async def opened(request: AnyRequest, received: Received) -> AsyncIterator[IncomingFile | None]:
    """The file of a request, or None when it names a source; `received` then has all of it.

    Form fields are in `received` as soon as they have come by. Leaving the block reads what
    stands behind the file.
    """
    if media_type_of(request) == MULTIPART:
        form = Form(request.headers["content-type"], chunks(request))
        part = await form.file()
        _take_fields(form, received, late=False)
        if part is None or received.source:
            _judge_formless(received, has_file=part is not None)
            yield None
            return
        yield IncomingFile(hashed(part.body, received.content), part.file_name, part.content_type)
        await form.rest()
        _take_fields(form, received, late=True)
        if received.source:
            raise _two_files()
        return
    body = await _without_fields(request, received)
    if not received.source:
        media_type = request.headers.get("content-type", "")
        yield IncomingFile(hashed(body, received.content), None, media_type)
        return
    async for chunk in body:
        if chunk.strip():
            raise _two_files()
    yield None


def _judge_formless(received: Received, *, has_file: bool) -> None:
    if has_file:
        raise _two_files()
    if not received.source:
        raise ProblemError(
            400, "the form has no file; send one: curl -F file=@users.csv, or name a url"
        )


def _two_files() -> ProblemError:
    named = " or ".join(options.SOURCES)
    return ProblemError(400, f"the request brings a file and names a {named}; do one of them")


async def _without_fields(request: AnyRequest, received: Received) -> AsyncIterator[bytes]:
    """The body, unless it is a request to fetch a file: then its fields are taken out of it."""
    body, media_type = chunks(request), media_type_of(request)
    # What curl --data-binary sends as a file it calls a form; then the query tells the format.
    is_file = {"format", "file_name"} & received.query.values.keys() and not received.source
    if media_type == URLENCODED and not is_file:
        await _take_urlencoded(body, received)
    elif media_type == "application/json" and "format" not in received.query.values:
        members, body = await split_object(body)
        if members is not None:
            _take_object(members, received)
    return body


def _take_object(members: dict[str, Any], received: Received) -> None:
    if not received.source and not any(canonical(name, options.SOURCES) for name in members):
        raise ProblemError(
            400,
            "a lone JSON object is no list of records; send an array, or lines with "
            "Content-Type: application/x-ndjson, or a url to fetch them from",
        )
    options.add_object(received.form, members)


async def _take_urlencoded(body: AsyncIterator[bytes], received: Received) -> None:
    held = b""
    async for chunk in body:
        held += chunk
        if len(held) > _LONGEST_FORM:
            detect(None, None, URLENCODED)
    found = parse_query(held.strip(), options.KNOWN, is_open=True)
    if not received.source and not any(name in options.SOURCES for name in found.values):
        # It was no form after all: say what to call a file.
        detect(None, None, URLENCODED)
    for name, value in found.values.items():
        received.form.add(name, value)


def _take_fields(form: Form, received: Received, *, late: bool) -> None:
    before = {"format": received.format} | received.values
    for name, values in form.fields.items():
        for value in values:
            taken = received.form.add(name, value)
            if late and taken in options.PARSING and before.get(taken) != value:
                raise ProblemError(
                    400,
                    f"the form has {name!r} behind the file, but the file cannot be read "
                    "without it; put it before the file or into the query",
                )
