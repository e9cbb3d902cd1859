"""From the bytes of a request to UTF-8 text."""

from collections.abc import AsyncIterable, AsyncIterator

from .compression import capped, content_codings, inflate, inflate_file
from .encoding import check_encoding, to_utf8
from .format import CompressionName


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
    codings = content_codings(content_encoding)
    for coding in reversed(codings):
        chunks = inflate(chunks, coding)
    chunks = inflate_file(chunks, compression, encoded=bool(codings))
    return to_utf8(capped(chunks, max_bytes), encoding)
