"""An Office file: a zip of XML parts, read with bounds on all that a hostile one could grow."""

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import SEEK_END, SEEK_SET
from typing import IO
from xml.parsers import expat

from .errors import MalformedBody, TooLarge

BLOCK = 64 * 1024
MAX_ENTRIES = 10_000
# The list of entries, a tag, a comment: what is read in one piece.
_MAX_PIECE = 4 * 1024 * 1024
# Parts that are kept in memory: the workbook, its relations, its styles.
_MAX_SMALL_PART = 16 * 1024 * 1024
_MAX_DEPTH = 64
# No spreadsheet of use shrinks to less; below this size a bomb does no harm.
_MAX_RATIO = 250
_HARMLESS = 64 * 1024 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Attributes = dict[str, str]
Start = Callable[[str, Attributes], object]


class _Bounded:
    """The file as zipfile sees it: a list of entries that claims to be huge is not read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, SEEK_END)
        file.seek(0)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if (size if size >= 0 else self.size - self.tell()) > _MAX_PIECE:
            raise zipfile.BadZipFile("its list of entries is too long")
        return self._file.read(size)


class Package:
    """The parts by their paths; whatever is inflated counts against `max_bytes` (0: no limit)."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._max = max_bytes
        self._inflated = 0
        head = file.read(8)
        bounded = _Bounded(file)
        self._packed = bounded.size
        try:
            self._zip = zipfile.ZipFile(bounded)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise _no_workbook(head, error) from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise MalformedBody(
                f"the workbook has {len(entries)} entries, {MAX_ENTRIES} are the most"
            )
        # Some writers have other cases, or backslashes, than their own references.
        self._entries = {_path(entry.filename): entry for entry in reversed(entries)}

    def has(self, path: str) -> bool:
        """Whether there is such a part."""
        return _path(path) in self._entries

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of a part; TooLarge for a bomb, MalformedBody for what cannot be read."""
        entry = self._entries.get(_path(path))
        if entry is None:
            raise MalformedBody(f"the workbook lacks its part {path[:200]!r}")
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            raise MalformedBody(
                "the workbook is encrypted or packed in an unusual way: save it as a plain .xlsx"
            )
        try:
            with self._zip.open(entry) as part:
                while block := part.read(BLOCK):
                    self._count(len(block))
                    yield block
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise MalformedBody(
                f"the part {path[:200]!r} of the workbook cannot be read: it was cut off or is "
                "corrupt; send the whole file again"
            ) from error

    def _count(self, size: int) -> None:
        self._inflated += size
        if self._max and self._inflated > self._max:
            raise TooLarge(
                f"the workbook has more than {self._max} bytes once it is unpacked: split it, or "
                "raise SLUICE_MAX_UPLOAD_BYTES"
            )
        if self._inflated > max(_HARMLESS, _MAX_RATIO * self._packed):
            raise TooLarge(
                f"the workbook unpacks to more than {_MAX_RATIO} times its size, as no table does"
            )

    def walk(self, path: str, start: Start) -> None:
        """Call `start` with each element of a small part, by its local name and attributes."""
        size, local = 0, Names()

        def begin(name: str, attributes: list[str]) -> None:
            pairs = zip(attributes[::2], attributes[1::2], strict=True)
            start(local[name], {local[key]: value for key, value in pairs})

        parser = XmlParser(path, begin)
        for block in self.blocks(path):
            size += len(block)
            if size > _MAX_SMALL_PART:
                raise TooLarge(f"the part {path[:200]!r} of the workbook is longer than 16 MB")
            parser.feed(block)
        parser.close()

    def relations(self, path: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: the kind and path by id; nothing outside of the file."""
        folder, name = posixpath.split(path)
        about = posixpath.join(folder, "_rels", f"{name}.rels")
        found: dict[str, tuple[str, str]] = {}

        def start(element: str, given: Attributes) -> None:
            if element == "Relationship" and given.get("TargetMode") != "External":
                kind = given.get("Type", "").rpartition("/")[2]
                target = posixpath.join("/", folder, given.get("Target", ""))
                found[given.get("Id", "")] = (kind, posixpath.normpath(target).lstrip("/"))

        if self.has(about):
            self.walk(about, start)
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()


class Names(dict[str, str]):
    """Names as a file spells them, to their local part."""

    def __missing__(self, name: str) -> str:
        local = name.rpartition(":")[2]
        # a hostile file has as many names as it likes
        if len(self) < 1000:
            self[name] = local
        return local


class XmlParser:
    """XML in pieces, without what makes XML dangerous: document types, entities, depth."""

    def __init__(
        self,
        path: str,
        start: Callable[[str, list[str]], object],
        end: Callable[[str], object] | None = None,
        text: Callable[[str], object] | None = None,
    ) -> None:
        self._path = path
        self._depth = 0
        self._fed = 0
        self._start, self._end = start, end
        parser = self._parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._enter
        parser.EndElementHandler = self._leave
        if text:
            parser.CharacterDataHandler = text

    def feed(self, block: bytes) -> None:
        """Parse some more."""
        self._parse(block, final=False)
        self._fed += len(block)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _MAX_PIECE:
            raise MalformedBody(f"{self._path[:200]!r} of the workbook has a tag of more than 4 MB")

    def close(self) -> None:
        """Parse the end."""
        self._parse(b"", final=True)

    def _parse(self, block: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(block, final)
        except expat.ExpatError as error:
            raise MalformedBody(
                f"the part {self._path[:200]!r} of the workbook is no XML: {error}"
            ) from error

    def _enter(self, name: str, attributes: list[str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise MalformedBody(
                f"the part {self._path[:200]!r} of the workbook is nested deeper than "
                f"{_MAX_DEPTH} levels"
            )
        self._start(name, attributes)

    def _leave(self, name: str) -> None:
        self._depth -= 1
        if self._end:
            self._end(name)

    def _refuse(self, *_: object) -> None:
        raise MalformedBody(
            f"the part {self._path[:200]!r} of the workbook declares a document type, which no "
            "spreadsheet has"
        )


def _path(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _no_workbook(head: bytes, error: Exception) -> MalformedBody:
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return MalformedBody(
            "the file is an .xls of the old Excel, or is locked by a password: save it as a plain "
            ".xlsx"
        )
    if head.startswith(b"PK"):
        return MalformedBody(
            "the workbook was cut off or is corrupt: send the whole file again"
            if "entries" not in str(error)
            else f"the workbook cannot be read: {error}"
        )
    return MalformedBody("the file is no .xlsx workbook: save it as .xlsx, or say its format")
