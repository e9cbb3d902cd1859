"""A file on its way in: alone, or in a form with options before and behind it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ..errors import ProblemError
from ..ingest.multipart import Form
from . import options
from .body import chunks, hashed, refuse_lone_object
from .query import Fields
from .service import AnyRequest

MULTIPART = "multipart/form-data"


@dataclass
class Received:
    """What has come in: options as known so far, hash as read so far."""

    query: Fields
    form: Fields = field(default_factory=lambda: Fields(options.KNOWN, where="form field"))
    content: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def values(self) -> dict[str, str]:
        """The options of query and form as one."""
        return options.merge(self.query, self.form)

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
async def opened(request: AnyRequest, received: Received) -> AsyncIterator[IncomingFile]:
    """The file of a request; form fields are in `received` as soon as they have come by.

    Leaving the block reads what stands behind the file.
    """
    media_type = request.headers.get("content-type", "")
    if media_type_of(request) != MULTIPART:
        body = hashed(chunks(request), received.content)
        lone = media_type_of(request) == "application/json" and "format" not in received.values
        yield IncomingFile(refuse_lone_object(body) if lone else body, None, media_type)
        return
    form = Form(media_type, chunks(request))
    part = await form.file()
    _take_fields(form, received, late=False)
    if part is None:
        raise ProblemError(400, "the form has no file; send one: curl -F file=@users.csv")
    yield IncomingFile(hashed(part.body, received.content), part.file_name, part.content_type)
    await form.rest()
    _take_fields(form, received, late=True)


def _take_fields(form: Form, received: Received, *, late: bool) -> None:
    before = received.values
    for name, values in form.fields.items():
        for value in values:
            taken = received.form.add(name, value)
            if late and taken in options.PARSING and before.get(taken) != value:
                raise ProblemError(
                    400,
                    f"the form has {name!r} behind the file, but the file cannot be read "
                    "without it; put it before the file or into the query",
                )
    options.refuse_elsewhere(received.form)
