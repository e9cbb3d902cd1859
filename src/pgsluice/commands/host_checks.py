"""What `pgsluice doctor` sees without a database: settings, disk, store, programs, the service."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

from .. import __version__
from ..binaries import EmbeddedError, find
from ..client import ClientError, UnreachableError, api
from ..parquet.child import is_installed
from ..settings import Settings
from ..store import Store, StoreError
from .finding import Finding, State

_GIB = 1024**3
_SCANT, _FULL = 5 * _GIB, _GIB


def check_host(settings: Settings) -> Iterator[Finding]:
    """All of them, one after another."""
    yield _programs(settings)
    yield _parquet()
    yield from _settings(settings)
    yield from _disks(settings)
    yield _store(settings)
    yield _service(settings)


def _programs(settings: Settings) -> Finding:
    try:
        found = find(settings.pg_bin)
    except EmbeddedError as exc:
        if settings.database_url:
            return Finding("programs", "ok", "none here, and none needed: DATABASE_URL is set")
        return Finding("programs", "fail", "no Postgres to run here", str(exc))
    return Finding("programs", "ok", f"Postgres {found.version} in {found.bindir}")


def _parquet() -> Finding:
    if is_installed():
        return Finding("parquet", "ok", "Parquet files can be read and written here")
    return Finding("parquet", "ok", "no Parquet here; pip install 'pgsluice[parquet]' adds it")


def _settings(settings: Settings) -> Iterator[Finding]:
    clashes = list(_clashes(settings))
    for told, todo in clashes:
        yield Finding("settings", "warn", told, todo)
    if not clashes:
        yield Finding("settings", "ok", "none is at odds with another")


def _clashes(settings: Settings) -> Iterator[tuple[str, str]]:
    url = settings.database_url or ""
    if not settings.listen_url and (":6432" in url or "pooler" in url or "bouncer" in url):
        yield (
            "DATABASE_URL leads to a pooler, which passes no news on",
            "let SLUICE_LISTEN_URL lead to Postgres itself",
        )
    if settings.downloads == "redirect" and _folder(settings.store):
        yield (
            "SLUICE_DOWNLOADS=redirect, but a folder has no links",
            "leave it at proxy, or keep files in a bucket",
        )
    if settings.metrics == "off" and settings.metrics_key:
        yield "SLUICE_METRICS_KEY is set, but SLUICE_METRICS is off", "drop one of them"
    if settings.api_keys and settings.anonymous:
        yield (
            f"there are keys, yet anyone may {settings.anonymous}",
            "drop SLUICE_ANONYMOUS unless that is meant",
        )
    if settings.import_dir and not settings.import_dir.is_dir():
        yield f"SLUICE_IMPORT_DIR {settings.import_dir} is no folder", "make it, or correct it"
    if settings.stage_ttl > settings.job_ttl:
        yield (
            "SLUICE_STAGE_TTL is longer than SLUICE_JOB_TTL, which ends both",
            "raise SLUICE_JOB_TTL, or lower the other",
        )
    if settings.url == "http://127.0.0.1:8080" and settings.port not in (0, 8080):
        yield (
            f"serve listens on port {settings.port}, commands look for it at {settings.url}",
            f"set SLUICE_URL=http://127.0.0.1:{settings.port}",
        )


def _disks(settings: Settings) -> Iterator[Finding]:
    places = {} if settings.database_url else {"disk of the data": settings.data_dir}
    if folder := _folder(settings.store):
        places["disk of the store"] = folder
    for name, place in places.items():
        free = shutil.disk_usage(_standing(place)).free
        state: State = "fail" if free < _FULL else "warn" if free < _SCANT else "ok"
        todo = (
            None if state == "ok" else "make room, or move it: an import needs its own size twice"
        )
        yield Finding(name, state, f"{free / _GIB:.1f} GiB free at {place}", todo)


def _store(settings: Settings) -> Finding:
    folder = _folder(settings.store)
    if folder and not folder.exists():
        # it is made at the first export: looking must not make it
        if os.access(_standing(folder), os.W_OK):
            return Finding("store", "ok", f"{folder} will be made at the first export")
        return Finding("store", "fail", f"{folder} is not there and cannot be made", _STORE_HELP)
    try:
        asyncio.run(_try_store(settings.store))
    except StoreError as exc:
        return Finding("store", "fail", str(exc), _STORE_HELP)
    return Finding("store", "ok", f"{settings.store} takes files and gives them back")


_STORE_HELP = "see SLUICE_STORE, its credentials and its rights: exports to files need it"


async def _try_store(url: str) -> None:
    store, path, said = Store(url), f"doctor/{uuid4().hex}", b"written by pgsluice doctor\n"

    async def blocks() -> AsyncIterator[bytes]:
        yield said

    await store.write(path, blocks())
    try:
        opened = await store.open(path)
        async with aclosing(opened.blocks) as found:
            read = b"".join([block async for block in found])
    finally:
        await store.remove([path])
    if read != said:
        raise StoreError(f"the file store {url} gave back something else", lasting=True)


def _service(settings: Settings) -> Finding:
    try:
        release = api(settings).ask("GET", "/ready")["release"]
    except UnreachableError:
        told = f"nobody answers at {settings.url}"
        return Finding("service", "warn", told, "start pgsluice serve, or correct SLUICE_URL")
    except (ClientError, KeyError, TypeError) as exc:
        told = f"what answers at {settings.url} is not ready, or no pgsluice"
        return Finding("service", "fail", told, f"it says: {exc}")
    if release != __version__:
        told = f"the service at {settings.url} is release {release}, this is {__version__}"
        return Finding("service", "warn", told, "upgrade the older one")
    return Finding("service", "ok", f"release {release} answers at {settings.url}")


def _folder(store: str) -> Path | None:
    """The folder of a store; None for a bucket."""
    if "://" not in store or store.startswith("file://"):
        return Path(store.removeprefix("file://")).absolute()
    return None


def _standing(place: Path) -> Path:
    """The nearest folder above a place that is there."""
    place = place.absolute()
    return next(folder for folder in (place, *place.parents) if folder.is_dir())
