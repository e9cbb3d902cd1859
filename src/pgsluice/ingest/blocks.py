"""Reading in blocks of whole lines: what is provably regular passes through untouched."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from .pieces import (
    MAX_RECORD_BYTES,
    RAW_LIMIT,
    Marked,
    Markup,
    Piece,
    find_dirt,
)

BLOCK = 512 * 1024
GRAIN = 4096
WAIT = -1


class BlockReader(ABC):
    """The part that CSV and NDJSON share.

    A subclass says whether a block of lines is regular and takes a single record apart. An
    irregular block becomes one marked piece, in which small regular stretches still pass
    at C speed. `fast=False` takes every record apart: the result must be the same.
    """

    # Chunks are collected up to this many bytes before they are looked at.
    minimum = 256 * 1024

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES, *, fast: bool = True) -> None:
        self._max = max_record_bytes
        self._fast = fast
        self._chunks: list[bytes] = []
        self._size = 0
        self._need = 0
        self._line = 1
        self._long: tuple[bytes, str] | None = None
        self._markup: Markup

    @property
    def line(self) -> int:
        """The physical line that comes next."""
        return self._line

    def waits(self, size: int) -> bool:
        """True when a chunk of this size would only be put by."""
        return self._size + size < max(self._need, self.minimum)

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take more bytes; yields the pieces that became complete."""
        reads = not self.waits(len(chunk))
        self._push(chunk)
        if reads:
            yield from self._read(final=False)

    def close(self) -> Iterator[Piece]:
        """Take the end of the file; yields what was left."""
        yield from self._read(final=True)

    def _push(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)

    def _pull(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        return data

    def _read(self, final: bool) -> Iterator[Piece]:
        data = self._pull()
        if final and (data or self._long) and not data.endswith(b"\n"):
            data += b"\n"
        pos = 0
        while pos < len(data):
            marked = Marked(self._markup)
            if self._long:
                pos = self._skip(*self._long, data, pos, marked)
                yield from marked.pieces()
                continue
            end = self._block_end(data, pos)
            if not end:
                if len(data) - pos <= self._max:
                    break
                end = len(data)
            elif (block := self._regular_within(data[pos:end])) is not None:
                records = block.count(b"\n")
                yield Piece(block, False, records, 0, [(0, self._line)])
                self._line += records
                pos = end
                continue
            after = self._take_apart(data, pos, end, final, marked)
            yield from marked.pieces()
            pos = after
            if pos < end:
                break
        self._keep(data[pos:])

    def _keep(self, rest: bytes) -> None:
        # A record that is not complete is tried again only when it may have doubled,
        # so that a long one is not scanned over and over.
        self._push(rest)
        self._need = min(2 * len(rest), self._max + 1)

    def _block_end(self, data: bytes, pos: int) -> int:
        end = data.rfind(b"\n", pos, pos + BLOCK) + 1
        return end or data.find(b"\n", pos) + 1

    def _regular_within(self, block: bytes) -> bytes | None:
        if not self._fast or len(block) > self._max:
            return None
        return self._regular(block)

    def _take_apart(self, data: bytes, pos: int, end: int, final: bool, out: Marked) -> int:
        """Read records up to `end`; returns where it stopped, before `end` to wait for more."""
        while pos < end:
            stop = data.find(b"\n", min(pos + GRAIN, end - 1)) + 1 or end
            lines = data[pos:stop]
            block = self._regular_within(lines) if lines.endswith(b"\n") else None
            if block is not None:
                self._line += out.regular(block, self._line)
                pos = stop
                continue
            clean = 0 if find_dirt(lines) else stop
            while pos < stop:
                after = self._record(data, pos, final, clean, out)
                if after == WAIT:
                    return pos
                pos = after
        return pos

    def _bad_line(self, data: bytes, pos: int, problem: str, final: bool, out: Marked) -> int:
        """Make one physical line a malformed record; returns where the next one starts."""
        end = data.find(b"\n", pos)
        if end >= 0:
            out.malformed(data[pos:end].removesuffix(b"\r"), problem, self._line)
            self._line += 1
            return end + 1
        if not final and len(data) - pos <= self._max:
            return WAIT
        self._long = data[pos : pos + RAW_LIMIT], problem
        return len(data)

    def _skip(self, raw: bytes, problem: str, data: bytes, pos: int, out: Marked) -> int:
        """Go on with a line that is too long to keep, up to its end."""
        end = data.find(b"\n", pos)
        stop = len(data) if end < 0 else end
        raw += data[pos : min(stop, pos + RAW_LIMIT - len(raw))]
        if end < 0:
            self._long = raw, problem
            return len(data)
        out.malformed(raw.removesuffix(b"\r"), problem, self._line)
        self._long = None
        self._line += 1
        return end + 1

    @abstractmethod
    def _regular(self, block: bytes) -> bytes | None:
        """The block as COPY shall see it, one record per line; None when that is not sure."""

    @abstractmethod
    def _record(self, data: bytes, pos: int, final: bool, clean: int, out: Marked) -> int:
        """Take one record or blank line at `pos`; returns where the next starts, or WAIT.

        Up to `clean` the bytes are known to be text.
        """
