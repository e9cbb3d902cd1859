"""Fetches: the file of an import comes from where its source says, into the stage of its job."""

import asyncio
import logging
import time
from typing import Any

import msgspec

from ..database import Error, Pool, StatementCancelled, call, problem_of
from ..ingest.errors import IngestError, NoRoom
from ..ingest.fetch import opened
from ..ingest.fetch_errors import TryLater, Unfetchable
from ..ingest.intake import FetchIntake
from ..ingest.receive import Totals, Upload
from ..ingest.xlsx import SheetOptions
from ..settings import Settings

log = logging.getLogger("pgsluice.work")

_BEAT_SECONDS = 5.0
# After the first, second … failure. A job that waits keeps tied ones waiting: a minute in all;
# after the fifth, whoever takes it next finds that it is to be given up.
_PAUSES = (1.0, 4.0, 15.0, 40.0, 0.0)
_LONGEST_PAUSE = 60.0
_PARSING = ("delimiter", "null", "encoding", "trim", "sheet")


class Fetch(msgspec.Struct):
    """What `take_fetch` hands out: a job, and the token of the lease on it."""

    job_id: str
    attempt: int
    source: dict[str, Any]
    options: dict[str, Any]
    format: str | None = None
    file_name: str | None = None


class _LostError(Exception):
    """The job was cancelled or given to another: whatever we did is of no use."""


class Fetches:
    """A hand that fetches one file at a time, and gives it back when it cannot."""

    def __init__(self, pool: Pool, settings: Settings, stopping: asyncio.Event) -> None:
        """A file may take an hour: it is given back as soon as `stopping` is set."""
        self._pool = pool
        self._settings = settings
        self._stopping = stopping
        self._next = 0.0

    async def once(self) -> float | None:
        """Take a job and fetch its file, or find out why it cannot be had."""
        async with self._pool.connection() as conn:
            told = await call(conn, "take_fetch")
        if told is None:
            # Nobody tells when the time of a second try has come.
            left = self._next - time.monotonic()
            return left if left > 0 else None
        fetch = msgspec.convert(told, Fetch)
        try:
            await self._carry_out(fetch)
        except asyncio.CancelledError:
            await asyncio.shield(self._end(fetch, "fetch_release"))
            raise
        return 0

    async def _carry_out(self, fetch: Fetch) -> None:
        """Fetch, and tell SQL how it went."""
        started = time.monotonic()
        try:
            totals = await self._guarded(fetch)
        except (TryLater, NoRoom) as exc:
            await self._retry(fetch, str(exc), exc.seconds)
        except (Unfetchable, IngestError) as exc:
            await self._fail(fetch, str(exc))
        except _LostError:
            log.info("import %s is no longer ours to fetch", fetch.job_id)
        except StatementCancelled:
            # Whoever cancelled the job has ended it; anyone else meant this attempt only.
            await self._retry(fetch, "a statement was cancelled")
        except Error as exc:
            problem = problem_of(exc)
            if problem.status < 500 and problem.status != 409:
                await self._fail(fetch, problem.detail)
            else:
                await self._retry(fetch, f"the database: {str(exc).partition(chr(10))[0]}")
        except OSError as exc:
            await self._retry(fetch, str(exc))
        else:
            if totals is not None:
                self._report(fetch, totals, time.monotonic() - started)

    async def _guarded(self, fetch: Fetch) -> Totals | None:
        """Fetch while the lease is kept; None when we stop and have given it back."""
        work = asyncio.create_task(self._receive(fetch), name=f"fetch {fetch.job_id}")
        keep = asyncio.create_task(self._keep_lease(fetch))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            limit = self._settings.fetch_seconds
            await asyncio.wait(
                {work, keep, stop}, timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
            if work.done():
                return work.result()
            if keep.done():
                raise _LostError
            if not stop.done():
                raise Unfetchable(
                    f"it took longer than {limit} seconds, as SLUICE_FETCH_SECONDS has it"
                )
        finally:
            for task in (work, keep, stop):
                task.cancel()
            await asyncio.gather(work, keep, stop, return_exceptions=True)
        await self._end(fetch, "fetch_release")
        return None

    async def _keep_lease(self, fetch: Fetch) -> None:
        """Beat until the lease is lost."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                async with self._pool.connection() as conn:
                    if not await call(conn, "beat_job", job_id=fetch.job_id, attempt=fetch.attempt):
                        return
            except Error as exc:
                log.warning("the lease on import %s was not beaten: %s", fetch.job_id, exc)

    async def _receive(self, fetch: Fetch) -> Totals:
        """The file into the stage, and the job on to its next phase."""
        settings, options = self._settings, fetch.options
        async with opened(settings, fetch.source, fetch.file_name) as file:
            kind = await file.format(fetch.format)
            upload = Upload(
                self._pool,
                format_name=kind.format,
                options={name: options[name] for name in _PARSING if name in options},
                file_name=file.names[0] if file.names else None,
                delimiter=kind.delimiter,
                max_record_bytes=settings.max_record_bytes,
                sheet=SheetOptions(
                    options.get("sheet"), options.get("decimal", "."), settings.max_upload_bytes
                ),
                intake=FetchIntake(fetch.job_id, fetch.attempt),
            )
            text = file.text(kind, options.get("encoding"), settings.max_upload_bytes)
            totals = await upload.receive(text)
        async with self._pool.connection() as conn:
            await call(
                conn,
                "fetch_finish",
                job_id=fetch.job_id,
                attempt=fetch.attempt,
                received=totals.records,
                bytes=totals.bytes,
            )
        return totals

    async def _fail(self, fetch: Fetch, why: str) -> None:
        log.warning("import %s cannot be fetched: %s", fetch.job_id, why)
        await self._end(fetch, "fetch_fail", title="The file cannot be fetched", detail=why)

    async def _retry(self, fetch: Fetch, why: str, seconds: float | None = None) -> None:
        if seconds is None:
            seconds = _PAUSES[min(fetch.attempt, len(_PAUSES)) - 1]
        seconds = min(seconds, _LONGEST_PAUSE)
        log.warning("import %s is fetched again in %.0f s: %s", fetch.job_id, seconds, why)
        await self._end(fetch, "fetch_release", seconds=seconds, error=why)
        # a little later than SQL has it: too early a look would be in vain
        self._next = time.monotonic() + seconds + 0.02

    async def _end(self, fetch: Fetch, name: str, **args: Any) -> None:
        """Give the lease up; where that fails it ends by itself for want of a beat."""
        try:
            async with self._pool.connection() as conn:
                await call(conn, name, job_id=fetch.job_id, attempt=fetch.attempt, **args)
        except Error as exc:
            if problem_of(exc).status != 409:
                log.warning("the lease on import %s is not given up: %s", fetch.job_id, exc)

    def _report(self, fetch: Fetch, totals: Totals, seconds: float) -> None:
        log.info(
            "import %s: fetched",
            fetch.job_id,
            extra={
                "fields": {
                    "job_id": fetch.job_id,
                    "records": totals.records,
                    "bytes": totals.bytes,
                    "duration_ms": round(seconds * 1000, 1),
                    "attempt": fetch.attempt,
                }
            },
        )
