"""Where bytes from the service go: a file that is there whole or not at all, or stdout."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..client import ClientError

Write = Callable[[bytes], object]


@contextmanager
def output(path: Path | None) -> Iterator[Write]:
    """What takes the bytes of a file, or of stdout for None and `-`.

    The file appears under its name at the end of the block; a block that raises leaves nothing
    there, and an older file of that name as it was.
    """
    if path is None or str(path) == "-":
        try:
            yield sys.stdout.buffer.write
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as exc:
            told = f"standard output cannot be written: {exc.strerror or exc}; it is not whole"
            raise ClientError(told) from exc
        return
    if path.exists() and not path.is_file():
        # a device or a pipe: to be written to, not replaced
        try:
            with path.open("wb") as device:
                yield _Checked(device.write, path)
        except OSError as exc:
            raise unwritable(path, exc) from exc
        return
    path = path.resolve()  # what a link leads to is replaced, not the link
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("xb") as file:
            yield _Checked(file.write, path)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise unwritable(path, exc) from exc
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


class _Checked:
    """Writes to a file; what cannot be written is a ClientError that names it."""

    def __init__(self, write: Write, path: Path) -> None:
        self._write, self._path = write, path

    def __call__(self, block: bytes) -> None:
        try:
            self._write(block)
        except OSError as exc:
            raise unwritable(self._path, exc) from exc


def unwritable(path: Path, exc: OSError) -> ClientError:
    """What is said when a file takes no bytes."""
    return ClientError(f"{path} cannot be written: {exc.strerror or exc}; nothing was left there")


def copy(blocks: Iterable[bytes], write: Write, told: Callable[[int], None]) -> None:
    """Write the blocks, and tell how many bytes each had."""
    for block in blocks:
        write(block)
        told(len(block))
