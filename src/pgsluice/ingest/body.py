"""From the bytes of a request to UTF-8 text."""

from collections.abc import AsyncIterable, AsyncIterator, Callable

from .compression import capped, chain, content_codings, inflate, inflate_file
from .encoding import check_encoding, to_utf8
from .errors import BadOption
from .format import BINARY, PARQUET, CompressionName, Format


def as_text(
    chunks: AsyncIterable[bytes],
    *,
    content_encoding: str | None = None,
    compression: CompressionName | None = None,
    encoding: str | None = None,
    max_bytes: int = 0,
) -> AsyncIterator[bytes]:
    """The upload as UTF-8 bytes: inflated, capped, without a byte order mark.

    Raises BadOption at once for an encoding that is not known; TooLarge and MalformedBody come
    while it is read.
    """
    check_encoding(encoding)
    return to_utf8(_inflated(chunks, content_encoding, compression, max_bytes), encoding)


def as_format(
    chunks: AsyncIterable[bytes],
    kind: Format,
    *,
    content_encoding: str | None = None,
    encoding: str | None = None,
    max_bytes: int = 0,
) -> AsyncIterator[bytes]:
    """The upload as its format wants it: as `as_text` gives it, or the bytes of what is no text."""
    if kind.format in BINARY:
        return _inflated(chunks, content_encoding, kind.compression, max_bytes)
    return as_text(
        chunks,
        content_encoding=content_encoding,
        compression=kind.compression,
        encoding=encoding,
        max_bytes=max_bytes,
    )


async def recognised(
    tell: Callable[[], Format], chunks: AsyncIterator[bytes], *, is_given: bool
) -> tuple[Format, AsyncIterator[bytes]]:
    """What `tell` says of a file, else what its first bytes do, and its bytes; BadOption.

    `is_given`: the format was asked for, whatever the bytes are.
    """
    try:
        return tell(), chunks
    except BadOption:
        if is_given:
            raise
        head = b""
        async for chunk in chunks:
            head += chunk
            if len(head) >= len(PARQUET):
                break
        if not head.startswith(PARQUET):
            raise
    return Format("parquet"), chain(head, chunks)


def _inflated(
    chunks: AsyncIterable[bytes],
    content_encoding: str | None,
    compression: CompressionName | None,
    max_bytes: int,
) -> AsyncIterator[bytes]:
    codings = content_codings(content_encoding)
    for coding in reversed(codings):
        chunks = inflate(chunks, coding)
    return capped(inflate_file(chunks, compression, encoded=bool(codings)), max_bytes)
