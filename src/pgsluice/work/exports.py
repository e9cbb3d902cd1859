"""Exports to files: a job is taken, its COPYs flow into the store, SQL is told how it went."""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Any

from ..compression import packing
from ..copy import Tally, copy_out, one_snapshot
from ..database import Connection, Error, Jsonb, Pool, call, own_role
from ..errors import ProblemError, sentence
from ..logins import Logins, enter
from ..made_files import writer_of
from ..replica import Replica
from ..store import Store, StoreError

log = logging.getLogger("pgsluice.work")

_BEAT_SECONDS = 2.0  # it is also the pace of the progress
_CLEAN_SECONDS = 10.0


class Exports:
    """A hand for exports: takes the oldest that waits and carries it out whole."""

    def __init__(self, pool: Pool, store: Store, logins: Logins, replica: Replica) -> None:
        """Each export holds a connection of `pool` to its end, and another now and then."""
        self._pool = pool
        self._store = store
        self._logins = logins
        self._replica = replica

    async def once(self) -> float | None:
        """Take an export, if there is one, and bring it to its end."""
        async with self._pool.connection() as conn:
            taken = await call(conn, "take_export")
        if taken is None:
            return None
        await _Attempt(self._pool, self._store, self._logins, self._replica, taken).carry_out()
        return 0


class _Attempt:
    """One attempt at an export, under its lease."""

    def __init__(
        self,
        pool: Pool,
        store: Store,
        logins: Logins,
        replica: Replica,
        taken: dict[str, Any],
    ) -> None:
        self._pool = pool
        self._store = store
        self._logins = logins
        self._replica = replica
        self._is_elsewhere = False  # on the replica
        self._login: str | None = taken["login"]
        self._resource = taken["resource"]
        self._lease = {"job_id": taken["job_id"], "attempt": taken["attempt"]}
        self._paths: list[str] = []
        self._rows = 0
        self._bytes = 0
        self._part = Tally()
        self._finishing = False
        self._started = time.monotonic()

    async def carry_out(self) -> None:
        """Work under a heartbeat; however it ends, SQL knows and no half file is left."""
        work = asyncio.create_task(self._work())
        beat = asyncio.create_task(self._beat(work))
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.shield(self._give_back(work))
            raise
        finally:
            beat.cancel()
        await self._conclude(work)

    async def _conclude(self, work: "asyncio.Task[bool]") -> None:
        if work.cancelled():
            await self._clean()
            log.info("export %s was taken away", self._lease["job_id"])
        elif (error := work.exception()) is not None:
            await self._clean()
            await self._fail(error)
        elif not work.result():
            await self._clean()
        else:
            self._tell()

    async def _work(self) -> bool:
        async with self._pool.connection() as conn:
            snapshot = await call(conn, "snapshot_place")
            async with AsyncExitStack() as stack:
                reader = await self._replica_session(conn, stack)
                if reader is None:
                    await stack.enter_async_context(one_snapshot(conn))
                files = await call(conn, "export_begin", **self._lease)
                if files is None:
                    return False
                if reader is None:
                    reader = await stack.enter_async_context(self._reader(conn))
                made = [await self._write(conn, reader, file) for file in files]
            # From here on it may be done though the reply is lost: the files must stay.
            self._finishing = True
            is_ours = await call(
                conn, "export_finish", **self._lease, files=Jsonb(made), snapshot=snapshot
            )
            self._finishing = bool(is_ours)
            return self._finishing

    async def _replica_session(self, conn: Connection, stack: AsyncExitStack) -> Connection | None:
        """A session on the replica; None when the primary is to be read.

        Then no transaction is held open on the primary: whoever cancels finds nobody to wait for,
        and we learn of it by the next beat.
        """
        # what broke off there once is read from the primary, and so is what a login reads
        is_first = self._lease["attempt"] == 1
        if self._login is not None or not is_first or not self._replica.is_wanted:
            return None
        place = await call(conn, "source_place")
        try:
            reader = await stack.enter_async_context(self._replica.snapshot(place))
        except (Error, ProblemError) as exc:
            self._replica.give_up(exc)
            return None
        self._is_elsewhere = True
        return reader

    @asynccontextmanager
    async def _reader(self, conn: Connection) -> AsyncIterator[Connection]:
        """The session that reads the tables: a key's own login has one, with one snapshot too."""
        if self._login is None:
            yield conn
            return
        async with self._logins.session(self._login) as reader, one_snapshot(reader):
            # whoever cancels the export finds this session
            await call(reader, "hold_job", job_id=self._lease["job_id"])
            yield reader

    async def _write(
        self, conn: Connection, reader: Connection, file: dict[str, Any]
    ) -> dict[str, Any]:
        """Write one file to the store; what SQL keeps of it."""
        self._paths.append(file["path"])
        made = file | {"rows": 0, "bytes": 0, "parts": []}
        async with aclosing(self._blocks(conn, reader, file, made)) as blocks:
            await self._store.write(file["path"], blocks, file["content_type"])
        return made

    async def _blocks(
        self, conn: Connection, reader: Connection, file: dict[str, Any], made: dict[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, hashed and counted into `made`."""
        digest = hashlib.sha256()
        async with aclosing(self._packed(conn, reader, file, made)) as packed:
            async for data in packed:
                digest.update(data)
                made["bytes"] += len(data)
                self._bytes += len(data)
                yield data
        made["sha256"] = digest.hexdigest()

    async def _packed(
        self, conn: Connection, reader: Connection, file: dict[str, Any], made: dict[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        pack, is_plain = packing(file["encoding"]), file["encoding"] == "none"
        for part in file["parts"]:
            if data := pack.begin(part.get("name", "")):
                yield data
            async with aclosing(self._copied(conn, reader, part["resource"], made)) as blocks:
                async for block in blocks:
                    data = block if is_plain else await asyncio.to_thread(pack.add, block)
                    if data:
                        yield data
        if data := await asyncio.to_thread(pack.end):
            yield data

    async def _copied(
        self, conn: Connection, reader: Connection, resource: str, made: dict[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        about = await call(
            conn, "export_copy_part", job_id=self._lease["job_id"], resource=resource
        )
        if "fence" in about:
            await enter(reader, about)
        elif self._is_elsewhere:
            await call(reader, "read_as", role=about["role"], search_path=about["search_path"])
        self._part, size = Tally(), 0
        writer = writer_of(about)
        try:
            async with aclosing(copy_out(reader, about["copy"], tally=self._part)) as blocks:
                async for block in blocks:
                    size += len(block)
                    data = await asyncio.to_thread(writer.add, block) if writer else block
                    if data:
                        yield data
            if writer:
                yield await asyncio.to_thread(writer.end)
        finally:
            if writer:
                writer.close()
        # the next part is SQL's again, not the role's of an API key
        await own_role(conn)
        if self._is_elsewhere:
            await own_role(reader)
        rows = 0 if size == len(about["empty"]) else self._part.rows
        self._rows, self._part = self._rows + rows, Tally()
        made["rows"] += rows
        made["parts"].append({"resource": resource, "rows": rows})

    async def _beat(self, work: "asyncio.Task[bool]") -> None:
        """Keep the lease, and stop the work when it is lost."""
        is_ours = True
        while is_ours:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                async with self._pool.connection() as conn:
                    rows = self._rows + self._part.rows
                    is_ours = await call(
                        conn, "export_beat", **self._lease, rows=rows, bytes=self._bytes
                    )
            except Error as exc:
                log.warning("export %s cannot tell of itself: %s", self._lease["job_id"], exc)
        work.cancel()

    async def _fail(self, error: BaseException) -> None:
        said, sqlstate = str(error).partition("\n")[0], None
        if isinstance(error, Error) and error.sqlstate:
            sqlstate = error.sqlstate
            said = sentence(error.diag.message_primary or said, error.diag.message_hint)
            if not sqlstate.startswith("IO"):
                said = f"{said} (SQLSTATE {sqlstate})"
            if self._is_elsewhere:
                # the primary may do what a replica does not: the next attempt is there
                sqlstate = None
        is_refused = False
        if isinstance(error, ProblemError):
            said, sqlstate = error.detail, f"IO{error.status}"
            is_refused = error.status < 500
        is_known = isinstance(error, Error | ProblemError | StoreError | OSError)
        is_lasting = error.lasting if isinstance(error, StoreError) else is_refused or not is_known
        async with self._pool.connection() as conn:
            outcome = await call(
                conn,
                "export_fail",
                **self._lease,
                error=said or type(error).__name__,
                sqlstate=sqlstate,
                lasting=is_lasting,
            )
        log.warning(
            "export %s of %s: %s; it %s",
            self._lease["job_id"],
            self._resource,
            said,
            outcome or "is no longer ours",
            exc_info=None if is_known else error,
        )

    async def _give_back(self, work: "asyncio.Task[bool]") -> None:
        """Let another worker begin at once: we were told to stop."""
        await asyncio.wait([work], timeout=_CLEAN_SECONDS)
        if work.done() and not work.cancelled() and (error := work.exception()) is not None:
            log.info("export %s broke off: %s", self._lease["job_id"], error)
        await self._clean()
        with suppress(Error):
            async with self._pool.connection() as conn:
                await call(conn, "release_job", **self._lease)

    async def _clean(self) -> None:
        if self._paths and not self._finishing:
            try:
                async with asyncio.timeout(_CLEAN_SECONDS):
                    await self._store.remove(self._paths)
            except (StoreError, TimeoutError, OSError) as exc:
                # What is left has no owner: housekeeping finds it within the day.
                log.warning("files of export %s are not removed: %s", self._lease["job_id"], exc)

    def _tell(self) -> None:
        seconds = time.monotonic() - self._started
        log.info(
            "export %s of %s",
            self._lease["job_id"],
            self._resource,
            extra={
                "fields": {
                    "job_id": self._lease["job_id"],
                    "records": self._rows,
                    "bytes": self._bytes,
                    "rows_per_second": round(self._rows / seconds) if seconds else None,
                    "duration_ms": round(seconds * 1000),
                }
            },
        )
