"""Files of exports on their way here: whole or not at all, and what broke goes on."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..client import Api, BrokenError, ClientError, UnreachableError
from .bars import Bars
from .common import UsageError, note
from .output import output, unwritable

# How often it is tried again while nothing comes at all.
_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)
_BLOCK = 1024 * 1024

Place = tuple[Path | None, dict[str, Any]]


def places(job: dict[str, Any], wanted: Path) -> list[Place]:
    """Where each file of an ended export is to go: into a folder, under a name, to stdout (`-`)."""
    files = job["files"]
    if wanted.is_dir():
        return [(wanted / Path(file["name"]).name, file) for file in files]
    if len(files) != 1:
        raise UsageError(f"export {job['job_id']} has {len(files)} files: let -o name a folder")
    return [(None if str(wanted) == "-" else wanted, files[0])]


def fetch_all(remote: Api, job: dict[str, Any], found: Sequence[Place], screen: Bars) -> None:
    """Fetch the files of an export; ClientError and Ctrl-C tell how to go on."""
    for path, file in found:
        with _opened(path, file) as part:
            try:
                _fetch(remote, job, part, screen)
            except KeyboardInterrupt:
                note(f"left: {_kept(job, path, part)}")
                raise
            except ClientError as exc:
                if _passes(exc):
                    raise ClientError(f"{exc}: {_kept(job, path, part)}") from exc
                raise


@dataclass
class _Part:
    """A file as far as it is here."""

    file: dict[str, Any]
    write: Callable[[bytes], object]
    restart: Callable[[], None]
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def take(self, block: bytes) -> None:
        """Write a block behind the others."""
        self.write(block)
        self.digest.update(block)
        self.size += len(block)


def _fetch(remote: Api, job: dict[str, Any], part: _Part, screen: Bars) -> None:
    name, size = part.file["name"], part.file["bytes"]
    screen.bytes(name, size)
    screen.advance(name, part.size)
    pauses = iter(_PAUSES)
    while part.size < size:
        before = part.size
        try:
            _go_on(remote, job, part, lambda step: screen.advance(name, step))
            if part.size < size:
                raise BrokenError(f"the download ended after {part.size:,} of {size:,} bytes")
        except ClientError as exc:
            if not _passes(exc):
                raise
            if part.size > before:
                pauses = iter(_PAUSES)
            if (pause := next(pauses, None)) is None:
                raise
            note(f"{exc}; going on where it broke off")
            time.sleep(pause)
    if part.digest.hexdigest() != part.file["sha256"]:
        part.restart()
        raise ClientError(f"what came as {name} is not what was exported; fetch it again")


def _passes(exc: ClientError) -> bool:
    """Whether it may go better soon."""
    return isinstance(exc, BrokenError | UnreachableError) or exc.status == 503


def _go_on(remote: Api, job: dict[str, Any], part: _Part, told: Callable[[int], None]) -> None:
    """Take what comes behind what is here."""
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers |= {"Range": f"bytes={part.size}-"}
    where = f"exports/{job['job_id']}/download"
    with remote.download(where, [("file", part.file["name"])], headers) as reply:
        if part.size and reply.status_code != 206:
            told(-part.size)
            part.restart()
        for block in reply.iter_raw():
            part.take(block)
            told(len(block))


@contextmanager
def _opened(path: Path | None, file: dict[str, Any]) -> Iterator[_Part]:
    """A part to be added to: of stdout and devices from the start, of a file where it broke off."""
    if path is None or (path.exists() and not path.is_file()):
        with output(path) as write:
            yield _Part(file, write, _no_restart)
        return
    path = path.resolve()
    # its name tells what it is a part of: another export begins anew
    draft = path.with_name(f".{path.name}.{file['sha256'][:16]}.part")
    try:
        with draft.open("a+b") as held:
            part = _Part(file, held.write, lambda: _restart(part, held))
            held.seek(0)
            while block := held.read(_BLOCK):
                part.digest.update(block)
                part.size += len(block)
            yield part
        draft.replace(path)
    except OSError as exc:
        raise unwritable(path, exc) from exc
    finally:
        with suppress(OSError):
            if draft.stat().st_size == 0:
                draft.unlink()


def _restart(part: _Part, held: Any) -> None:
    held.truncate(0)
    part.size, part.digest = 0, hashlib.sha256()


def _no_restart() -> None:
    raise ClientError("the file changed while it was sent: what was written is not whole")


def _kept(job: dict[str, Any], path: Path | None, part: _Part) -> str:
    if path is None:
        return "what was written is not whole"
    where = path.parent if len(job["files"]) > 1 else path
    return (
        f"{part.size:,} of {part.file['bytes']:,} bytes are kept; "
        f"pgsluice download {job['job_id']} -o {where} goes on there"
    )
