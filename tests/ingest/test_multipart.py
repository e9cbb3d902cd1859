"""A form is read as it arrives: fields before and behind the one file."""

from typing import Any

import pytest

from pgsluice.ingest.errors import BadOption, IngestError, MalformedBody, TooLarge
from pgsluice.ingest.multipart import Form

from .stage import split
from .streams import collect, stream

TYPE = "multipart/form-data; boundary=XX"


def part(name: str, value: bytes, file_name: str | None = None) -> bytes:
    """One part of a form."""
    file = f'; filename="{file_name}"\r\nContent-Type: text/csv' if file_name is not None else ""
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = b"--XX--\r\n"
FILE = part("file", b"a,b\n1,2\r\n--X\n", "dir\\users.csv")


def form(body: bytes, size: int = 1 << 20, content_type: str = TYPE) -> Form:
    """The form of this body, in chunks."""
    return Form(content_type, stream(split(body, [size])))


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_fields_before_and_behind_the_file(size: int) -> None:
    read = form(
        part("resource", b"users")
        + FILE
        + part("mode", b"insert")
        + part("mode", "é".encode())
        + END,
        size,
    )
    file = await read.file()
    assert file is not None
    assert (file.name, file.file_name, file.content_type) == ("file", "users.csv", "text/csv")
    assert read.fields == {"resource": ["users"]}
    assert await collect(file.body) == b"a,b\n1,2\r\n--X\n"
    await read.rest()
    assert read.fields == {"resource": ["users"], "mode": ["insert", "é"]}


async def test_a_file_that_was_not_read_is_passed_over() -> None:
    read = form(FILE + part("resource", b"users") + END)
    await read.file()
    await read.rest()
    assert read.fields == {"resource": ["users"]}


async def test_a_form_without_a_file() -> None:
    read = form(part("resource", b"users") + END)
    assert await read.file() is None
    await read.rest()
    assert read.fields == {"resource": ["users"]}


async def test_a_part_named_file_is_the_file_without_a_file_name() -> None:
    file = await form(part("file", b"x") + END).file()
    assert file is not None
    assert file.file_name is None


async def everything(read: Form) -> Any:
    """The whole form."""
    file = await read.file()
    content = await collect(file.body) if file else None
    await read.rest()
    return content, read.fields


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (FILE + FILE + END, BadOption, "two files"),
        (FILE, MalformedBody, "cut off"),
        (FILE[:60], MalformedBody, "cut off"),
        (b"", MalformedBody, "cut off"),
        (FILE.replace(b"--XX", b"--YY") + b"--YY--\r\n", MalformedBody, "boundary"),
        (part("x", b"y" * 70_000) + END, TooLarge, "64 KB"),
        (part("x", b"\xff") + END, MalformedBody, "UTF-8"),
        (part("x", b"y") * 101 + END, MalformedBody, "at most 100 parts"),
        (b"--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, MalformedBody, "cannot be read"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    body: bytes, error: type[IngestError], words: str
) -> None:
    with pytest.raises(error, match=f"(?i){words}"):
        await everything(form(body, 1000))


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("multipart/form-data", "no boundary"),
        ("text/csv", "must be multipart"),
        ("", "must be multipart"),
        ("multipart/form-data; boundary=" + "a\nb", "cannot be read|boundary"),
    ],
)
async def test_a_content_type_that_is_no_form_is_refused(content_type: str, words: str) -> None:
    with pytest.raises(MalformedBody, match=words):
        await everything(form(FILE + END, content_type=content_type))
