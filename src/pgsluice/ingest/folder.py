"""Files below SLUICE_IMPORT_DIR, and nothing else of this machine."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from .fetch_errors import TryLater, Unfetchable

_BLOCK = 256 * 1024


def check_path(folder: Path | None, path: str) -> None:
    """Refuse what the text of a path alone forbids; whether there is such a file is not asked."""
    if folder is None:
        raise Unfetchable("source_path needs a folder: set SLUICE_IMPORT_DIR where workers run")
    if not path or "\0" in path:
        raise Unfetchable("source_path must name a file")
    if ".." in Path(path).parts or not _below(folder.absolute(), folder.absolute() / path):
        raise Unfetchable(f"source_path {path!r} leads out of SLUICE_IMPORT_DIR")


@asynccontextmanager
async def open_file(
    folder: Path | None, path: str
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    """The blocks of a file below the folder, read in threads; links may not lead out of it."""
    handle = await asyncio.to_thread(_open, folder, path)
    blocks = _read(handle, path)
    try:
        yield blocks
    finally:
        await blocks.aclose()
        os.close(handle)


async def _read(handle: int, path: str) -> AsyncGenerator[bytes, None]:
    before, place = os.fstat(handle), 0
    while block := await asyncio.to_thread(_block, handle, place, path):
        place += len(block)
        yield block
    after = os.fstat(handle)
    if place != after.st_size or (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ):
        raise TryLater(f"the file {path!r} was written to while it was read")


def _block(handle: int, place: int, path: str) -> bytes:
    try:
        return os.pread(handle, _BLOCK, place)
    except OSError as exc:
        raise TryLater(f"the file {path!r} cannot be read: {exc.strerror}") from exc


def _open(folder: Path | None, path: str) -> int:
    check_path(folder, path)
    given = (folder or Path()).absolute()
    try:
        root, real = given.resolve(), (given / path).resolve()
    except (OSError, RuntimeError) as exc:
        raise Unfetchable(f"source_path {path!r} leads nowhere") from exc
    if not _below(root, real):
        raise Unfetchable(f"source_path {path!r} leads out of SLUICE_IMPORT_DIR")
    try:
        handle = _walk(root, real.relative_to(root).parts)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise Unfetchable(f"there is no file {path!r} in SLUICE_IMPORT_DIR") from exc
    except OSError as exc:
        raise Unfetchable(f"the file {path!r} cannot be opened: {exc.strerror}") from exc
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unfetchable(f"{path!r} in SLUICE_IMPORT_DIR is not a regular file")
    return handle


def _walk(root: Path, parts: tuple[str, ...]) -> int:
    """Open by one folder after the other, following no link: none can be put in our way now."""
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for number, part in enumerate(parts, 1):
        # a pipe must not be waited for
        flags = os.O_NONBLOCK if number == len(parts) else os.O_DIRECTORY
        try:
            deeper = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=handle)
        finally:
            os.close(handle)
        handle = deeper
    return handle


def _below(folder: Path, path: Path) -> bool:
    return path.is_relative_to(folder) and path != folder
