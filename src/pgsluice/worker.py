"""The worker: its pools, its hands, and how it starts and stops."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import tasks as queue
from .database import STALL_SECONDS, Error, Pool, call, new_pool
from .logins import Logins
from .replica import Replica
from .settings import Settings, login_urls
from .store import Store
from .work.clock import Clock
from .work.deliveries import Deliveries
from .work.exports import Exports
from .work.fetches import Fetches
from .work.files import Files
from .work.housekeeping import Housekeeping
from .work.loops import Hand, run_hand
from .work.news import News
from .work.steps import Steps

log = logging.getLogger("pgsluice.worker")

# Connections that carry files: a disk or a store may stand still for so long.
SLOW_SECONDS = 60
# Webhooks on their way at once: a receiver that is slow must not hold up all others.
_DELIVERIES = 4
# Seconds that running work may go on after a SIGTERM.
_PATIENCE = 10.0
_CONCURRENCY = ("import_sessions", "exports", "fetches", "max_jobs")
# What SQL reads: SLUICE_STAGE is sluice.stage there.
_TOLD = (
    "stage",
    "idempotency_ttl",
    "job_ttl",
    "stage_ttl",
    "export_ttl",
    "max_jobs",
    "sessions_per_import",
    "batch_rows",
    "webhook_backoff",
)


def new_news(settings: Settings) -> News:
    """The news of the database of the settings; `hearing` frames their life."""
    return News(settings.listen_url or settings.database_url or "")


@asynccontextmanager
async def hearing(news: News) -> AsyncIterator[News]:
    """Hear the news for as long as the block lasts."""
    listener = asyncio.create_task(news.listen(), name="news")
    try:
        yield news
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


@asynccontextmanager
async def working(settings: Settings, news: News) -> AsyncIterator[None]:
    """A worker with all its hands, for as long as the block lasts.

    At the end what runs has ten seconds; then it is cancelled, and given back.
    """
    url = settings.listen_url or settings.database_url or ""
    stopping = asyncio.Event()
    store, logins = Store(settings.store), Logins(settings)
    told = {name: getattr(settings, name) for name in _CONCURRENCY}
    log.info("worker %s starts", _worker_name(), extra={"fields": told})
    # a session for each step; what else is called is short, and shares some
    calls = pool_of(settings, settings.import_sessions + 4, "pgsluice worker")
    # a connection that carries bytes, and one that keeps the lease
    size = 2 * (settings.exports + settings.fetches)
    transfers = pool_of(settings, size, "pgsluice transfer", SLOW_SECONDS)
    replica = replica_of(settings, settings.exports, "pgsluice replica", SLOW_SECONDS)
    async with calls, transfers, replica.running():
        hands: list[tuple[Hand, int]] = [
            (Steps(calls, news, logins), settings.import_sessions),
            (Fetches(transfers, settings, stopping), settings.fetches),
            (Housekeeping(calls), 1),
            (Clock(calls), 1),
            (Deliveries(calls, settings), _DELIVERIES),
            (Exports(transfers, store, logins, replica), settings.exports),
            (Files(calls, store), 1),
        ]
        tasks = [
            asyncio.create_task(run_hand(hand, slots, news, stopping)) for hand, slots in hands
        ]
        listener = asyncio.create_task(queue.listen(url, lambda: news.tell("work")))
        try:
            yield
        finally:
            # no wake-up must reach us that others could still follow
            listener.cancel()
            stopping.set()
            news.tell_all()
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, listener, return_exceptions=True)
            await _pass_on(calls)
            log.info("worker %s has ended", _worker_name())


async def _pass_on(pool: Pool) -> None:
    """Tell all others to look: what we have left undone goes on elsewhere at once."""
    try:
        async with asyncio.timeout(2), pool.connection() as conn:
            await call(conn, "announce", p_news="work")
    except (Error, TimeoutError) as exc:
        log.debug("nobody could be told that we stop: %s", exc)


def _worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def replica_of(settings: Settings, size: int, name: str, stall: int) -> Replica:
    """The replica of the settings; it may be none."""
    url = settings.export_database_url
    pool = pool_of(settings, size, name, stall, url=url) if url else None
    return Replica(pool, settings.export_patience)


def pool_of(
    settings: Settings, size: int, name: str, stall: int = STALL_SECONDS, url: str | None = None
) -> Pool:
    """A pool on the database of the settings, or of `url`; SQL reads them in its sessions."""
    return new_pool(
        url or settings.database_url or "",
        size=size,
        name=name,
        stall=stall,
        worker=_worker_name(),
        logins=",".join(login_urls(settings)),
        # webhooks hold links too
        api_prefix=f"/{settings.api_prefix}",
        **{name: getattr(settings, name) for name in _TOLD},
    )
