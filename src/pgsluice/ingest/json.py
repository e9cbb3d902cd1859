"""JSON: an array, or objects one after the other; each record keeps its text to the digit."""

import codecs
import re
from collections.abc import Iterator

import msgspec

from .batch import Batch
from .errors import MalformedBody
from .lines import TOO_DEEP
from .nesting import Nesting
from .pieces import MAX_RECORD_BYTES, RAW_LIMIT, Piece, megabytes, show
from .values import NoValueError, TooDeepError, may_go_on, value_end

BULK = 128 * 1024
WORTH_IT = 4 * 1024
# So many characters may be read again behind lines that are no records.
PATIENCE = 128 * 1024 * 1024

_SPACE = re.compile(r"[ \t\r\n]*+")
_LIST = msgspec.json.Decoder(list[msgspec.Raw])

EMPTY = "the file is empty: send a JSON array of objects, or one object after the other"


class JsonReader:
    """Reads a JSON file, never held whole.

    A syntax error in an array raises MalformedBody behind the records before it; in a
    sequence of objects it makes one line a malformed record. `fast=False` reads each
    record by itself: the result must be the same.
    """

    minimum = 256 * 1024

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES, *, fast: bool = True) -> None:
        self._max = max_record_bytes
        self._fast = fast
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._chunks: list[str] = []
        self._size = 0
        self._need = 0
        self._bulk_from = 0
        self._patience = PATIENCE
        self._line = 1
        self._batch = Batch()
        self._kind = ""
        self._expect = "first"
        self._nesting: Nesting | None = None
        self._long: tuple[str, str] | None = None

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
        self._push(self._decoder.decode(chunk))
        if reads:
            yield from self._read(final=False)

    def close(self) -> Iterator[Piece]:
        """Take the end of the file; yields what was left."""
        self._push(self._decoder.decode(b"", True))
        yield from self._read(final=True)

    def _push(self, text: str) -> None:
        self._chunks.append(text)
        self._size += len(text)

    def _read(self, final: bool) -> Iterator[Piece]:
        text = "".join(self._chunks)
        self._chunks, self._size = [], 0
        pos, self._bulk_from = 0, 0
        try:
            while (after := self._step(text, pos, final)) >= 0:
                pos = after
                yield from self._batch.full()
        except MalformedBody:
            yield from self._batch.flush()
            raise
        yield from self._batch.flush()
        self._push(text[pos:])
        self._need = min(2 * self._size, self._max + 1)

    def _step(self, text: str, pos: int, final: bool) -> int:
        """Take one token or record; returns where the next starts, -1 to wait or at the end."""
        if self._nesting:
            return self._go_through(self._nesting, text, pos, final)
        if self._long:
            return self._skip_line(*self._long, text, pos, final)
        space = _SPACE.match(text, pos)
        if space and space.end() > pos:
            self._line += text.count("\n", pos, space.end())
            return space.end()
        if pos == len(text):
            if final:
                self._check_end()
            return -1
        if not self._kind:
            return self._open(text[pos], pos)
        if self._kind == "objects":
            return self._object(text, pos, final)
        return self._in_array(text, pos, final)

    def _open(self, mark: str, pos: int) -> int:
        if mark not in "[{":
            raise self._error(
                "a JSON file is an array of objects, or one object after the other; this one "
                f"starts with {show(mark.encode('utf-8', 'surrogateescape')).decode()!r}"
            )
        self._kind = "array" if mark == "[" else "objects"
        return pos + 1 if mark == "[" else pos

    def _check_end(self) -> None:
        if not self._kind:
            raise MalformedBody(EMPTY)
        if self._kind == "array" and self._expect != "nothing":
            raise self._error("the array has no closing ]: the file was cut off")

    def _in_array(self, text: str, pos: int, final: bool) -> int:
        mark = text[pos]
        if self._expect == "nothing":
            raise self._error("text follows the closing ] of the array: remove it")
        if self._expect == "comma":
            if mark not in ",]":
                raise self._error("a comma is missing between two records")
            self._expect = "record" if mark == "," else "nothing"
            return pos + 1
        if mark == "]" and self._expect == "first":
            self._expect = "nothing"
            return pos + 1
        if mark in ",]":
            raise self._error("a record is missing beside a comma: remove the comma")
        if (after := self._bulk_of_array(text, pos)) > pos:
            self._expect = "record"
            return after
        return self._element(text, pos, final)

    def _bulk_of_array(self, text: str, pos: int) -> int:
        """Take many elements at once; returns `pos` when that is not sure to be right."""
        stop = min(pos + BULK, len(text))
        enough = stop - pos >= WORTH_IT and pos >= self._bulk_from and self._max >= BULK
        if not self._fast or not enough:
            return pos
        for _ in range(8):
            # "[" + elements + "]" is JSON only if the comma behind them is the array's own.
            stop = text.rfind("},", pos, stop) + 1
            if stop <= pos:
                break
            block = text[pos:stop]
            try:
                records = _LIST.decode(f"[{block}]")
            except (msgspec.DecodeError, ValueError, RecursionError):
                continue
            self._line = self._batch.many(block.encode(), records, self._line)
            return stop + 1
        self._bulk_from = pos + BULK
        return pos

    def _element(self, text: str, pos: int, final: bool) -> int:
        try:
            end = value_end(text, pos)
        except TooDeepError:
            self._nesting = Nesting(self._max)
            return pos
        except NoValueError as error:
            newlines = text.count("\n", pos, error.pos)
            if not error.cut:
                what = f"it is not valid JSON ({error.what})"
                raise self._error(what, newlines) from error
            if len(text) - pos > self._max:
                self._nesting = Nesting(self._max)
                return pos
            if final:
                raise self._error("the file was cut off inside it", newlines) from error
            return -1
        if not final and may_go_on(text, end):
            return -1
        self._take(text[pos:end])
        self._expect = "comma"
        return end

    def _go_through(self, nesting: Nesting, text: str, pos: int, final: bool) -> int:
        """Go on with an element that is too deep or too long for a parser, up to its end."""
        end = nesting.feed(text, pos)
        if end < 0:
            if final:
                raise self._error("the file was cut off inside it")
            return len(text) if pos < len(text) else -1
        self._take(nesting.text(), nesting.problem(), nesting.newlines)
        self._nesting = None
        self._expect = "comma"
        return end

    def _object(self, text: str, pos: int, final: bool) -> int:
        if (after := self._bulk_of_lines(text, pos)) > pos:
            return after
        if self._patience < 0:
            return self._line_alone(text, pos, final)
        try:
            end = value_end(text, pos)
        except TooDeepError as error:
            self._patience -= error.pos - pos
            return self._bad_line(text, pos, TOO_DEEP, final)
        except NoValueError as error:
            if error.cut and not final and len(text) - pos <= self._max:
                return -1
            self._patience -= error.pos - pos
            return self._bad_line(text, pos, _mend(error), final)
        if not final and may_go_on(text, end):
            return -1
        self._take(text[pos:end])
        return end

    def _line_alone(self, text: str, pos: int, final: bool) -> int:
        """Take a line that must be a record by itself; else each line could cost all behind it."""
        end = text.find("\n", pos)
        if end < 0 and not final:
            return self._bad_line(text, pos, self._too_long(), final)
        line = text[pos : end if end >= 0 else len(text)].rstrip()
        try:
            if value_end(line, 0) == len(line):
                self._take(line)
                return pos + len(line)
            problem = "text follows the record on its line: remove it"
        except TooDeepError:
            problem = TOO_DEEP
        except NoValueError as error:
            problem = _mend(error)
        return self._bad_line(text, pos, problem, final)

    def _bulk_of_lines(self, text: str, pos: int) -> int:
        stop = text.rfind("\n", pos, pos + BULK)
        enough = stop - pos >= WORTH_IT and pos >= self._bulk_from and self._max >= BULK
        if not self._fast or not enough:
            return pos
        self._bulk_from = pos + BULK
        lines = text[pos:stop].replace("\r\n", "\n")
        try:
            block = lines.encode()
            records = _LIST.decode(b"[" + block.replace(b"\n", b",") + b"]")
        except (msgspec.DecodeError, ValueError, RecursionError):
            return pos
        if [bytes(record) for record in records] != block.split(b"\n"):
            return pos
        self._bulk_from = 0
        self._line = self._batch.many(block, records, self._line)
        return stop

    def _bad_line(self, text: str, pos: int, problem: str, final: bool) -> int:
        """Make the rest of the line a malformed record; reading resumes at the next."""
        end = text.find("\n", pos)
        if end < 0 and not final:
            if len(text) - pos <= self._max:
                return -1
            self._long = text[pos : pos + RAW_LIMIT], problem
            return len(text)
        raw = text[pos : end if end >= 0 else len(text)]
        self._batch.bad(raw.rstrip("\r"), problem, self._line)
        return pos + len(raw)

    def _skip_line(self, raw: str, problem: str, text: str, pos: int, final: bool) -> int:
        end = text.find("\n", pos)
        if end < 0 and not final:
            return len(text) if pos < len(text) else -1
        self._long = None
        self._batch.bad(raw, problem, self._line)
        return end if end >= 0 else len(text)

    def _take(self, raw: str, problem: str | None = None, newlines: int | None = None) -> None:
        if not problem and len(raw) > self._max:
            problem = self._too_long()
        if problem:
            self._batch.bad(raw[:RAW_LIMIT], problem, self._line)
        else:
            self._batch.good(raw, self._line)
        self._line += raw.count("\n") if newlines is None else newlines

    def _too_long(self) -> str:
        return f"the record is longer than {megabytes(self._max)}: split it, or raise the limit"

    def _error(self, what: str, newlines: int = 0) -> MalformedBody:
        row = self._batch.row + 1
        line = self._line + newlines
        return MalformedBody(
            f"the JSON cannot be read at record {row}, line {line}: {what}; mend the file and "
            "send it again",
            row,
            line,
        )


def _mend(error: NoValueError) -> str:
    return f"the record is not valid JSON ({error.what}): mend it"
