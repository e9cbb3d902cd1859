"""Any text encoding becomes UTF-8 while it streams."""

import codecs
import re
from collections.abc import AsyncIterable, AsyncIterator

from .errors import BadOption, MalformedBody

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:-]{0,39}")
_UTF8 = {"utf-8", "utf-8-sig", "ascii"}
_NO_FILE_HAS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
_NO_FILE_HAS |= {"mbcs", "oem"}
# Python refuses these without a mark; files of Windows that lack it are so, and browsers agree.
_UNMARKED = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _keep_invalid(error: UnicodeError) -> tuple[str, int]:
    """Bytes that mean nothing become bytes that are not UTF-8, so that their record is found."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    if error.encoding.startswith(("utf-16", "utf-32")):
        # Half a character is no ASCII: its bytes must not become a line end or a NUL.
        return "".join(f"\\x{byte:02x}" for byte in bad) + "\udcff", error.end
    kept = "".join(chr(0xDC00 + byte) if byte > 127 else chr(byte) for byte in bad)
    # Only bytes from 0xC0 could become UTF-8 together with what follows; 0xFF never does.
    return kept if 0x80 <= max(bad) < 0xC0 else kept + "\udcff", error.end


codecs.register_error("pgsluice.keep_invalid", _keep_invalid)


def check_encoding(name: str | None) -> str | None:
    """Python's name of an encoding, None for UTF-8; raises BadOption when there is no such."""
    if not name:
        return None
    try:
        info = codecs.lookup(name) if _NAME.fullmatch(name) else None
    except (LookupError, ValueError):
        info = None
    # Python marks codecs such as hex and zlib, which make no text, only by this attribute.
    is_text = info is not None and getattr(info, "_is_text_encoding", False)
    strange = info is not None and info.name.replace("-", "_") in _NO_FILE_HAS
    if info is None or not is_text or strange or not info.incrementaldecoder:
        raise BadOption(
            f"encoding {name[:40]!r} is not known: use for example utf-8, utf-16, windows-1252, "
            "iso-8859-15 or shift_jis"
        )
    return None if info.name in _UTF8 else info.name


async def to_utf8(
    chunks: AsyncIterable[bytes], encoding: str | None = None
) -> AsyncIterator[bytes]:
    """The text as UTF-8 without a byte order mark.

    A mark at the start wins over `encoding`; UTF-16 without one is little-endian. UTF-8 is passed
    on unjudged; what another encoding cannot say becomes bytes that are not UTF-8. Raises
    MalformedBody where a decoder cannot go on.
    """
    name = check_encoding(encoding)
    source = aiter(chunks)
    head = b""
    async for chunk in source:
        head += chunk
        if len(head) >= 4:
            break
    for mark, marked in _MARKS:
        if head.startswith(mark):
            head, name = head.removeprefix(mark), marked
            break
    name = _UNMARKED.get(name or "", name)
    if name in (None, "utf-8"):
        if head:
            yield head
        async for chunk in source:
            yield chunk
        return
    decoder = codecs.getincrementaldecoder(name)("pgsluice.keep_invalid")
    yield _decoded(decoder, head)
    async for chunk in source:
        yield _decoded(decoder, chunk)
    yield _decoded(decoder, b"", final=True)


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bytes:
    try:
        return decoder.decode(chunk, final).encode("utf-8", "surrogateescape")
    except UnicodeError as error:
        # the escapes of ISO 2022 leave some decoders with more than they can put by
        raise MalformedBody(
            f"the text is not in the encoding named ({error}): save the file as UTF-8, or name "
            "its encoding"
        ) from error
