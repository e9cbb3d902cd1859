"""The file store: a folder, or a bucket behind s3://, gs:// or az://, by obstore.

A file is there whole or not at all. Credentials, region and endpoint of a bucket come from the
environment as its own tools read it: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_…
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

# A bucket takes at most 10,000 parts a file: this allows files of 80 GB.
_PART = 8 * 1024 * 1024
_AHEAD = 4
_READ = 256 * 1024
_PATIENCE_SECONDS = 10.0
# obstore writes into NAME#1 beside the file, then renames it.
_UNFINISHED = re.compile(r"#\d+$")
_LASTING = re.compile(
    r"\b(?:No space left|Disk quota|File too large|Read-only file system|Permission denied"
    r"|Not a directory|NoSuchBucket|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch"
    r"|40[0134] [A-Z][a-z]+|builder error|Unable to recognise URL)",
    re.IGNORECASE,
)


class StoreError(Exception):
    """The store did not do it; `lasting` when trying again will not help until it is mended."""

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


class NotInStoreError(StoreError):
    """There is no such file, or no such bucket."""

    def __init__(self, message: str) -> None:
        super().__init__(message, lasting=True)


class Opened(NamedTuple):
    """A file that is being read: its whole size, when it was written, and the bytes asked for."""

    size: int
    modified: datetime
    blocks: AsyncGenerator[bytes, None]


class Store:
    """The store that a URL or folder names; nothing is made or asked before the first use."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._root: Path | None = None
        if "://" not in url or url.startswith("file://"):
            self._root = Path(url.removeprefix("file://")).absolute()
        self._opened: ObjectStore | None = None

    async def write(
        self, path: str, blocks: AsyncIterable[bytes], content_type: str | None = None
    ) -> None:
        """Store the blocks under the path; memory stays flat, and a failure leaves nothing."""
        queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_AHEAD)
        put = asyncio.ensure_future(self._put(path, _drained(queue), content_type))
        try:
            async for block in blocks:
                await _offer(queue, block, put)
            await _offer(queue, None, put)
            await put
        except BaseException as exc:
            # An error out of its source makes obstore take back what it has written.
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(exc)
            await asyncio.wait([put], timeout=_PATIENCE_SECONDS)
            put.cancel()
            with suppress(BaseException):
                await put
            raise

    async def _put(self, path: str, source: AsyncIterator[bytes], content_type: str | None) -> None:
        # A folder keeps no attributes, and refuses them.
        told = {"Content-Type": content_type} if content_type and not self._root else None
        try:
            await obstore.put_async(
                self._store(),
                path,
                source,
                attributes=told,
                use_multipart=True,
                chunk_size=_PART,
                max_concurrency=1,
            )
        except (BaseError, OSError, ValueError) as exc:
            raise self._error(exc) from exc
        if self._root:
            await asyncio.to_thread(_sync, self._root / path)

    async def open(self, path: str, start: int = 0, end: int | None = None) -> Opened:
        """The bytes from `start` up to `end`, or up to the end; NotInStoreError without a file."""
        try:
            options: obstore.GetOptions = {}
            if end is not None:
                options["range"] = (start, end)
            elif start:
                options["range"] = {"offset": start}
            found = await obstore.get_async(self._store(), path, options=options)
        except (BaseError, OSError, ValueError) as exc:
            raise self._error(exc) from exc
        meta = found.meta
        return Opened(meta["size"], meta["last_modified"], self._read(found))

    async def _read(self, found: "obstore.GetResult") -> AsyncGenerator[bytes, None]:
        try:
            async for block in found.stream(min_chunk_size=_READ):
                yield bytes(block)
        except (BaseError, OSError) as exc:
            raise self._error(exc) from exc

    async def remove(self, paths: Iterable[str]) -> None:
        """Remove these files, unfinished ones too; those that are gone already are no error."""
        wanted = list(paths)
        if self._root:
            await asyncio.to_thread(_unlink, self._root, wanted)
        elif wanted:
            try:
                await obstore.delete_async(self._store(), wanted)
            except FileNotFoundError:
                return
            except (BaseError, OSError, ValueError) as exc:
                raise self._error(exc) from exc

    async def older(self, prefix: str, seconds: float) -> list[str]:
        """The files below the prefix, unfinished ones too, that were last written so long ago."""
        before = time.time() - seconds
        if self._root:
            return await asyncio.to_thread(_walk, self._root, prefix, before)
        try:
            return [
                meta["path"]
                async for page in obstore.list(self._store(), prefix)
                for meta in page
                if meta["last_modified"].timestamp() < before
            ]
        except (BaseError, OSError, ValueError) as exc:
            raise self._error(exc) from exc

    async def signed_url(self, path: str, seconds: float) -> str | None:
        """A URL under which anyone may read the file for so long; None where none can be made."""
        store = self._store()
        if not isinstance(store, S3Store | GCSStore | AzureStore):
            return None
        try:
            return await obstore.sign_async(store, "GET", path, timedelta(seconds=seconds))
        except (BaseError, OSError, ValueError) as exc:
            raise self._error(exc) from exc

    def _store(self) -> ObjectStore:
        if self._opened is None:
            try:
                self._opened = self._open()
            except (BaseError, OSError, ValueError) as exc:
                raise self._error(exc) from exc
        return self._opened

    def _open(self) -> ObjectStore:
        if self._root:
            return LocalStore(self._root, mkdir=True, automatic_cleanup=True)
        return from_url(
            self.url,
            # Plain http is spoken only where the operator's endpoint says so.
            client_options={"allow_http": True, "connect_timeout": "5s", "timeout": "120s"},
            retry_config={
                "max_retries": 3,
                "retry_timeout": timedelta(seconds=30),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=200),
                    "max_backoff": timedelta(seconds=3),
                    "base": 2,
                },
            },
        )

    def _error(self, exc: BaseError | OSError | ValueError) -> StoreError:
        """What went wrong in one line: obstore's own text goes on with a dump of its insides."""
        said = " ".join(str(exc).partition("\n\nDebug source")[0].split())[:400]
        message = f"the file store {self.url}: {said}"
        if isinstance(exc, FileNotFoundError):
            return NotInStoreError(message)
        return StoreError(message, lasting=bool(_LASTING.search(said)))


async def _offer(
    queue: "asyncio.Queue[bytes | BaseException | None]",
    block: bytes | None,
    put: "asyncio.Future[None]",
) -> None:
    """Hand a block over as soon as there is room; raise what has ended the taker instead."""
    if queue.full() and not put.done():
        offer = asyncio.ensure_future(queue.put(block))
        try:
            await asyncio.wait([offer, put], return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_taken = offer.done()
            offer.cancel()
        if is_taken and not put.done():
            return
    if put.done():
        put.result()
        raise StoreError("the file store has ended a file before its end", lasting=False)
    await queue.put(block)


async def _drained(
    queue: "asyncio.Queue[bytes | BaseException | None]",
) -> AsyncIterator[bytes]:
    while (item := await queue.get()) is not None:
        if isinstance(item, BaseException):
            raise ConnectionAbortedError("given up") from item
        yield item


def _sync(file: Path) -> None:
    """Have it on the disk before the database says that it is there."""
    for place in (file, file.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _walk(root: Path, prefix: str, before: float) -> list[str]:
    found = []
    # Others may remove files and folders meanwhile.
    for folder, _, names in os.walk(root / prefix):
        for file in (Path(folder) / name for name in names):
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    found.append(file.relative_to(root).as_posix())
    return found


def _unlink(root: Path, paths: list[str]) -> None:
    for path in paths:
        file = root / path
        # The parts of a file that a killed process left are its own.
        for part in [file, *file.parent.glob("*#*")]:
            if part == file or _UNFINISHED.sub("", part.name) == file.name:
                part.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == root:
                break
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                break
