"""The receive step: text in, a stage filled in committed segments."""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from typing import Any

import anyio
import msgspec

from ..copy import CopyIn
from ..database import Connection, Pool
from .csv import CsvReader
from .format import FormatName
from .intake import Intake, UploadIntake
from .json import JsonReader
from .lines import LineReader
from .parquet import ParquetOptions, ParquetReader
from .pieces import MAX_RECORD_BYTES, Piece
from .source import Source
from .spooled import SpooledReader
from .xlsx import SheetOptions, XlsxReader

SEGMENT_BYTES = 8 * 1024 * 1024
SEGMENT_SECONDS = 5.0
# Before this much has gathered no connection is taken.
GATHER_BYTES = 1024 * 1024
# A client that is quiet for longer gives its connection back.
QUIET_SECONDS = 0.5
BEAT_SECONDS = 10.0

_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}

log = logging.getLogger("pgsluice.ingest")

Beat = Callable[[Connection], Awaitable[None]]


class Job(msgspec.Struct):
    """What `receive_begin` replies."""

    job_id: str
    shape: str
    copy_marked: str
    copy_plain: str | None = None


class Totals(msgspec.Struct):
    """What was received: `bytes` counts the text after decompression."""

    records: int = 0
    malformed: int = 0
    bytes: int = 0
    lines: int = 0


class Segment:
    """The records of one transaction on their way through the two COPY statements."""

    def __init__(self, conn: Connection, job: Job, first: int) -> None:
        self._conn = conn
        self._job = job
        self._first = first
        self._copy: CopyIn | None = None
        self._marked = False
        self._sent = 0
        self.records = 0
        self.malformed = 0
        self.size = 0
        self.lines: list[tuple[int, int]] = []
        self._shift: int | None = None

    async def write(self, piece: Piece) -> None:
        """Send one piece through the COPY that it needs."""
        if self._copy is None or piece.marked is not self._marked:
            await self.finish()
            job = self._job
            copy = CopyIn(self._conn, job.copy_marked if piece.marked else job.copy_plain or "")
            await copy.__aenter__()
            self._copy, self._marked = copy, piece.marked
        await self._copy.write(piece.data)
        for offset, line in piece.lines:
            n = self._first + self.records + offset
            if line - n != self._shift:
                self._shift = line - n
                self.lines.append((n, line))
        self._sent += piece.records
        self.records += piece.records
        self.malformed += piece.malformed
        self.size += len(piece.data)

    async def finish(self) -> None:
        """End the COPY that is open; raises when it stored another number than was sent."""
        copy, self._copy = self._copy, None
        if copy is None:
            return
        await copy.__aexit__(None, None, None)
        if copy.rowcount != self._sent:
            raise RuntimeError(f"COPY stored {copy.rowcount} of {self._sent} records")
        self._sent = 0

    async def abandon(self, error: BaseException) -> None:
        """Have the server drop what is under way."""
        copy, self._copy = self._copy, None
        if copy is not None:
            await copy.__aexit__(type(error), error, error.__traceback__)


class Upload:
    """One upload on its way into the stage of a new job.

    `receive` reads it to its end and leaves the job in state receiving, for the caller to
    finish; when it raises, nothing of the job is left. No transaction stays open for longer
    than `segment_seconds`, however slow the client is. `beat` is awaited with a connection
    every 10 seconds or so while the upload goes on. `intake`: FetchIntake for a job that is there
    already, which is then left to its owner.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        format_name: FormatName,
        options: dict[str, Any] | None = None,
        file_name: str | None = None,
        delimiter: bytes | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
        sheet: SheetOptions | None = None,
        beat: Beat | None = None,
        intake: Intake | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
    ) -> None:
        self._pool = pool
        self._format = format_name
        self._options = dict(options or {})
        self._file_name = file_name
        self._beat = beat
        self._intake = intake or UploadIntake()
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._reader = self._new_reader(delimiter, max_record_bytes, sheet or SheetOptions())
        self._job: Job | None = None
        self._source: Source
        self._pieces: Iterator[Piece] = iter(())
        self._idle = True
        self._ended = False
        self._last_beat = time.monotonic()
        self._stored_bytes = 0
        self.totals = Totals()

    @property
    def job_id(self) -> str | None:
        """The job, once its header was read."""
        return self._job.job_id if self._job else None

    async def receive(self, chunks: AsyncIterable[bytes]) -> Totals:
        """Fill the stage from UTF-8 text (see `as_text`); returns what was received."""
        self._source = Source(chunks)
        try:
            self._job = await self._begin()
            while pieces := await self._gather():
                await self._store(self._job, pieces)
        except BaseException:
            await self.abort()
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._source.close()
            if isinstance(self._reader, SpooledReader):
                self._reader.dispose()
        self.totals.lines = self._reader.line - 1
        return self.totals

    async def abort(self) -> None:
        """Drop the stage and the job; a failure to do so is left to the sweeper."""
        job, self._job = self._job, None
        if job is None:
            return
        with anyio.move_on_after(10, shield=True):
            try:
                async with self._pool.connection() as conn:
                    await self._intake.abort(conn)
            except Exception as error:
                log.warning("upload %s could not be dropped: %s", job.job_id, error)

    def _new_reader(
        self, delimiter: bytes | None, limit: int, sheet: SheetOptions
    ) -> CsvReader | SpooledReader | LineReader | JsonReader:
        if self._format == "ndjson":
            return LineReader(limit)
        if self._format == "json":
            return JsonReader(limit)
        given = self._options.get("null")
        null = "" if given is None else str(given)
        if self._format == "xlsx":
            return XlsxReader(sheet, null, limit)
        if self._format == "parquet":
            return ParquetReader(ParquetOptions(null, sheet.point, sheet.max_bytes), limit)
        if chosen := self._options.get("delimiter"):
            delimiter = _DELIMITERS.get(str(chosen), str(chosen)).encode()
        return CsvReader(delimiter, null, limit)

    async def _begin(self) -> Job:
        reader, header, options = self._reader, None, self._options
        if isinstance(reader, CsvReader | SpooledReader):
            await self._find_header(reader)
            header = reader.header
            options = options | {"delimiter": reader.delimiter.decode()}
            if isinstance(reader, ParquetReader):
                # its nulls are what they are: the marker has been taken care of
                options["null"] = ""
        async with self._pool.connection() as conn:
            reply = await self._intake.begin(
                conn,
                format=self._format,
                header=header,
                options=options,
                file_name=self._file_name,
            )
        job = msgspec.convert(reply, Job)
        if isinstance(reader, CsvReader | SpooledReader):
            self._pieces, self._idle = self._after_header(reader, job.shape), False
        return job

    async def _find_header(self, reader: CsvReader | SpooledReader) -> None:
        piece: Piece | None = None
        while reader.header is None and not (self._ended and piece is None):
            if not self._ended:
                await self._read(BEAT_SECONDS)
            # The reader works only while it is asked for pieces; those before the header are empty.
            piece = await self._work()
            await self._beat_if_due()

    def _after_header(self, reader: CsvReader | SpooledReader, shape: str) -> Iterator[Piece]:
        yield from reader.start(shape)
        if self._ended:
            yield from reader.close()

    async def _read(self, seconds: float) -> bool:
        """Read one chunk; False when none came in time."""
        try:
            chunk = await self._source.next(seconds)
        except TimeoutError:
            await self._beat_if_due()
            return False
        self._idle = chunk is not None and self._reader.waits(len(chunk))
        if chunk is None:
            self._ended = True
            self._pieces = self._reader.close()
        else:
            self.totals.bytes += len(chunk)
            self._pieces = self._reader.feed(chunk)
        return True

    async def _next_piece(self, seconds: float) -> Piece | None:
        """The next piece; None at the end, or when none came in time."""
        until = time.monotonic() + seconds
        while (piece := await self._work()) is None:
            left = until - time.monotonic()
            if self._ended or left <= 0 or not await self._read(left):
                return None
        return piece

    async def _work(self) -> Piece | None:
        """The next piece of what has been read, found in a thread: a hostile record takes long."""
        if self._idle:
            return next(self._pieces, None)
        return await asyncio.to_thread(next, self._pieces, None)

    async def _gather(self) -> list[Piece]:
        """Pieces worth a segment: 1 MB, or what came in 5 seconds; none only at the end."""
        pieces: list[Piece] = []
        size, until = 0, time.monotonic() + self._segment_seconds
        while size < GATHER_BYTES:
            piece = await self._next_piece(until - time.monotonic())
            if piece is not None:
                pieces.append(piece)
                size += len(piece.data)
            elif pieces or self._ended:
                break
            else:
                await self._beat_if_due()
                until = time.monotonic() + self._segment_seconds
        return pieces

    async def _store(self, job: Job, pieces: list[Piece]) -> None:
        """One segment: the pieces, and more while they come quickly; then the commit."""
        # The commit beats: a beat on its way there would take a second connection.
        self._last_beat = time.monotonic()
        async with self._pool.connection() as conn, conn.transaction():
            # Asked before the COPY, which would only find that the stage is gone; from here to the
            # commit the job's row is locked, so that no sweeper takes the stage away.
            await self._intake.segment(conn, 0, 0, [])
            segment = Segment(conn, job, self.totals.records + 1)
            try:
                await self._fill(segment, pieces)
                await segment.finish()
            except BaseException as error:
                await segment.abandon(error)
                raise
            await self._intake.segment(
                conn, segment.records, self.totals.bytes - self._stored_bytes, segment.lines
            )
            if self._beat:
                await self._beat(conn)
        self._last_beat = time.monotonic()
        self._stored_bytes = self.totals.bytes
        self.totals.records += segment.records
        self.totals.malformed += segment.malformed

    async def _fill(self, segment: Segment, pieces: list[Piece]) -> None:
        until = time.monotonic() + self._segment_seconds
        while pieces:
            for piece in pieces:
                await segment.write(piece)
            left = until - time.monotonic()
            if segment.size >= self._segment_bytes or left <= 0:
                return
            more = await self._next_piece(min(left, QUIET_SECONDS))
            pieces = [more] if more else []

    async def _beat_if_due(self) -> None:
        if time.monotonic() - self._last_beat < BEAT_SECONDS:
            return
        self._last_beat = time.monotonic()
        async with self._pool.connection() as conn:
            await self._intake.beat(conn)
            if self._beat:
                await self._beat(conn)
