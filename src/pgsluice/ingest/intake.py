"""The calls by which SQL follows a file on its way into a stage."""

from typing import Any

import msgspec

from ..database import Connection, Jsonb, call

Lines = list[tuple[int, int]]

# So many records are worth to be cast while the rest of them comes.
_WORTHWHILE = 20_000


class Promise(msgspec.Struct, frozen=True):
    """By what an upload will be judged, as far as it is known when it begins."""

    resource: str
    options: dict[str, Any]


class UploadIntake:
    """For a file that comes in by itself: its job is made when its header is known."""

    def __init__(self, promise: Promise | None = None) -> None:
        self._promise = promise
        self._records = 0
        self._job_id: str | None = None

    async def begin(self, conn: Connection, **file: Any) -> Any:
        """Make the job and its stage; returns how to COPY into it."""
        reply = await call(conn, "receive_begin", **file)
        self._job_id = reply["job_id"]
        return reply

    async def segment(self, conn: Connection, records: int, size: int, lines: Lines) -> None:
        """Count a segment in its own transaction; raises when the upload was given up."""
        await call(
            conn,
            "receive_segment",
            job_id=self._job_id,
            records=records,
            bytes=size,
            lines=Jsonb(lines),
        )
        self._records += records
        if self._promise and self._records >= _WORTHWHILE:
            promise, self._promise = self._promise, None
            await call(
                conn,
                "receive_ahead",
                job_id=self._job_id,
                resource=promise.resource,
                options=Jsonb(promise.options),
            )

    async def beat(self, conn: Connection) -> None:
        """Say that the upload is alive."""
        if self._job_id:
            await call(conn, "receive_heartbeat", job_id=self._job_id)

    async def abort(self, conn: Connection) -> None:
        """Drop the stage and the job, once."""
        job_id, self._job_id = self._job_id, None
        if job_id:
            await call(conn, "receive_abort", job_id=job_id)


class FetchIntake:
    """For a file that an attempt fetches: its job is there, under a lease that another beats.

    Whoever holds the lease gives it back or fails the job; that takes the stage away.
    """

    def __init__(self, job_id: str, attempt: int) -> None:
        self._lease = {"job_id": job_id, "attempt": attempt}

    async def begin(self, conn: Connection, **file: Any) -> Any:
        """Make the stage; returns how to COPY into it."""
        return await call(conn, "fetch_begin", **self._lease, **file)

    async def segment(self, conn: Connection, records: int, size: int, lines: Lines) -> None:
        """Count a segment in its own transaction; raises when the lease is lost."""
        await call(
            conn, "fetch_segment", **self._lease, records=records, bytes=size, lines=Jsonb(lines)
        )

    async def beat(self, conn: Connection) -> None:
        """Nothing: the lease has its own beat."""

    async def abort(self, conn: Connection) -> None:
        """Nothing: the lease is still held."""


Intake = UploadIntake | FetchIntake
