"""A file that stands elsewhere, opened: by URL, in the import folder, or in the file store."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..settings import Settings
from ..store import Store, StoreError
from .body import as_format, recognised
from .errors import BadOption
from .fetch_errors import TryLater, Unfetchable
from .folder import open_file
from .format import Format, detect
from .url import open_url


@dataclass
class Fetched:
    """An open file; `names` are all that it goes by, the best first."""

    body: AsyncIterator[bytes]
    names: list[str] = field(default_factory=list)
    media_type: str | None = None
    content_encoding: str | None = None

    async def format(self, given: str | None) -> Format:
        """How to read it: as given, else as a name says, or the reply, or its bytes; BadOption."""
        tell = partial(self._told, given)
        kind, self.body = await recognised(tell, self.body, is_given=given is not None)
        return kind

    def _told(self, given: str | None) -> Format:
        for name in self.names:
            try:
                return detect(given, name)
            except BadOption:
                continue
        return detect(given, self.names[0] if self.names else None, self.media_type)

    def text(self, kind: Format, encoding: str | None, max_bytes: int) -> AsyncIterator[bytes]:
        """Its content as `as_format` gives it."""
        return as_format(
            self.body,
            kind,
            content_encoding=self.content_encoding,
            encoding=encoding,
            max_bytes=max_bytes,
        )


@asynccontextmanager
async def opened(
    settings: Settings, source: dict[str, Any], file_name: str | None
) -> AsyncGenerator[Fetched, None]:
    """The file that a job's source leads to; Unfetchable or TryLater, now or while it is read."""
    names = [file_name] if file_name else []
    if path := source.get("source_path"):
        async with open_file(settings.import_dir, str(path)) as blocks:
            yield Fetched(blocks, [*names, str(path)])
    elif path := source.get("object"):
        async with _open_object(settings, str(path)) as blocks:
            yield Fetched(blocks, [*names, str(path)])
    else:
        async with open_url(settings, str(source["url"])) as reply:
            yield Fetched(
                reply.body, [*names, *reply.names], reply.media_type, reply.content_encoding
            )


@asynccontextmanager
async def _open_object(
    settings: Settings, path: str
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    if not path.startswith("imports/") or ".." in path.split("/"):
        raise Unfetchable(f"the object {path!r} is not below imports/ in the file store")
    try:
        found = await Store(settings.store).open(path)
    except StoreError as exc:
        raise _of_store(exc) from exc
    blocks = _whole(found.blocks, found.size, path)
    try:
        yield blocks
    finally:
        await blocks.aclose()


async def _whole(
    blocks: AsyncGenerator[bytes, None], size: int, path: str
) -> AsyncGenerator[bytes, None]:
    seen = 0
    try:
        async for block in blocks:
            seen += len(block)
            yield block
    except StoreError as exc:
        raise _of_store(exc) from exc
    finally:
        await blocks.aclose()
    if seen != size:
        raise TryLater(f"the object {path!r} ended after {seen} of {size} bytes")


def _of_store(exc: StoreError) -> Exception:
    return Unfetchable(str(exc)) if exc.lasting else TryLater(str(exc))
