"""Any encoding becomes UTF-8; what cannot be decoded spoils its own record only."""

import codecs
import random
from contextlib import suppress
from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgsluice.ingest.encoding import check_encoding, to_utf8
from pgsluice.ingest.errors import BadOption, MalformedBody
from pgsluice.ingest.pieces import is_utf8

from .stage import split
from .streams import collect, stream

TEXT = "a,b\nÄ,€\n"


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("utf-8-sig"), "windows-1252"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), None),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), None),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), None),
        (TEXT.encode("utf-16"), "utf-16"),
        (TEXT.encode("utf-16-le"), "UTF-16LE"),
        (TEXT.encode("utf-16-le"), "utf-16"),
        (TEXT.encode("utf-32-le"), "utf-32"),
        (TEXT.encode("windows-1252"), "windows-1252"),
        (TEXT.encode("iso8859-15"), "latin9"),
        (TEXT.encode("gb18030"), "gb18030"),
    ],
)
async def test_text_comes_out_as_utf8(data: bytes, encoding: str | None, size: int) -> None:
    assert await collect(to_utf8(stream(split(data, [size])), encoding)) == TEXT.encode()


@pytest.mark.parametrize("data", [b"", b"a", b"\xef\xbb", b"\xff"])
async def test_a_short_body_is_passed_on(data: bytes) -> None:
    assert await collect(to_utf8(stream([data]))) == data


async def test_utf8_is_passed_on_unjudged() -> None:
    assert await collect(to_utf8(stream([b"a\xff\xfe\0\n"]), "utf-8")) == b"a\xff\xfe\0\n"


@given(
    st.sampled_from(["windows-1252", "shift_jis", "big5", "euc_kr", "utf-16-le", "utf-7"]),
    st.binary(max_size=60),
    st.lists(st.integers(1, 5), max_size=8),
)
async def test_what_cannot_be_decoded_is_not_utf8(
    encoding: str, data: bytes, sizes: list[int]
) -> None:
    found = await collect(to_utf8(stream(split(data, sizes)), encoding))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        assert not is_utf8(found) or data.startswith(codecs.BOM_UTF16_LE)
        return
    if not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        assert found.decode() == text


def known_encodings() -> list[str]:
    """Every encoding of Python that a file may name."""
    found = []
    for name in sorted(set(aliases.values())):
        with suppress(BadOption):
            found.append(check_encoding(name) or "utf-8")
    return found


@pytest.mark.parametrize("encoding", known_encodings())
async def test_any_bytes_in_any_encoding_become_something(encoding: str) -> None:
    chance = random.Random(encoding)
    for _ in range(20):
        data = bytes(chance.choices(b"\x1b$)C(B~{}+-&a,\n\r\x0e\x0f\xa1\xfe\x80", k=100))
        seen = set()
        for size in (100, 7, 1):
            with suppress(MalformedBody):
                seen.add(await collect(to_utf8(stream(split(data, [size])), encoding)))
        assert len(seen) <= 1


async def test_escapes_that_no_decoder_can_keep_are_refused() -> None:
    with pytest.raises(MalformedBody, match="not in the encoding named"):
        await collect(to_utf8(stream([b"aaaa\x1b$(", b"((((((((((", b"((((("]), "iso2022_jp"))


async def test_a_bad_byte_is_kept_to_be_shown() -> None:
    assert await collect(to_utf8(stream([b"a\x81\nb"]), "windows-1252")) == b"a\x81\nb"


@pytest.mark.parametrize(
    "name", ["klingon", "hex", "zlib", "rot13", "idna", "unicode_escape", "a\0b", "../x", "x" * 99]
)
def test_an_encoding_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(BadOption, match="is not known: use for example"):
        check_encoding(name)


@pytest.mark.parametrize("name", [None, "", "utf8", "UTF-8", "utf-8-sig", "ascii"])
def test_utf8_needs_no_decoder(name: str | None) -> None:
    assert check_encoding(name) is None
