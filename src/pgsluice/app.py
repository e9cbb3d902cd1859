"""create_app(): the only place where the parts meet."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from . import __version__
from . import tasks as queue
from .api import (
    access,
    deliveries,
    docs,
    earlier,
    earlier_a,
    earlier_e,
    events,
    export_files,
    export_jobs,
    exports,
    health,
    imports,
    jobs,
    keys,
    life,
    metrics,
    openapi,
    resources,
    schedules,
)
from .api.envelope import Envelope
from .api.service import AnyRequest, Service
from .database import STALL_SECONDS, Error, Pool, call, new_pool, problem_of
from .errors import ProblemError
from .settings import Settings
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

log = logging.getLogger("pgsluice.app")

_API = (
    imports.post_import,
    jobs.list_imports,
    jobs.list_jobs,
    jobs.get_import,
    jobs.get_errors,
    jobs.get_error_summary,
    jobs.get_rejects,
    jobs.get_results,
    life.cancel_import,
    life.retry_import,
    life.delete_import,
    events.import_events,
    events.export_events,
    exports.stream_export,
    keys.list_keys,
    keys.create_key,
    keys.rotate_key,
    keys.revoke_key,
    export_jobs.post_export,
    export_jobs.get_export,
    export_jobs.cancel_export,
    export_jobs.retry_export,
    export_jobs.delete_export,
    export_files.download_export,
    resources.list_resources,
    resources.get_resource,
    resources.get_template,
    schedules.list_schedules,
    schedules.get_schedule,
    schedules.post_schedule,
    schedules.put_schedule,
    schedules.pause_schedule,
    schedules.resume_schedule,
    schedules.run_schedule,
    schedules.delete_schedule,
    deliveries.get_deliveries,
    deliveries.redeliver,
)
# Where the earlier systems had them: SLUICE_API_PREFIX does not move these.
_EARLIER = (
    earlier_a.bulk_users,
    earlier_e.post_user_import,
    earlier_e.get_user_import,
)
# Connections that carry files: a disk or a store may stand still for so long.
_SLOW_SECONDS = 60
# Webhooks on their way at once: a receiver that is slow must not hold up all others.
_DELIVERIES = 4
# Seconds that running work may go on after a SIGTERM.
_PATIENCE = 10.0
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
_ROOT = (
    health.health,
    health.ready,
    health.live,
    metrics.metrics,
    docs.openapi_json,
    docs.docs,
    docs.root,
)


def create_app(settings: Settings) -> Litestar:
    """The service as an ASGI application; `settings.database_url` must be set."""
    if settings.database_url is None:
        raise ValueError("create_app needs a database_url")
    size = settings.pool_size
    service = Service(
        settings,
        pool=_pool(settings, size, "pgsluice api"),
        uploads=_pool(settings, size, "pgsluice upload", _SLOW_SECONDS),
        # whoever downloads may pause as long as they like
        downloads=_pool(settings, max(2, size // 2), "pgsluice download", 0),
        news=new_news(settings),
    )
    app = Litestar(
        route_handlers=[
            Router(f"/{settings.api_prefix}", route_handlers=_API, guards=[access.guard]),
            Router("/", route_handlers=_EARLIER, guards=[access.guard]),
            *_ROOT,
        ],
        lifespan=[lambda _: _running(service)],
        exception_handlers={Exception: _refuse},
        state=State({"service": service}),
        openapi_config=None,
        logging_config=None,
    )
    app.state["openapi"] = openapi.build(app, __version__)
    # Not a middleware: those do not see requests that no route takes.
    app.asgi_handler = Envelope(app.asgi_handler, service.counts)
    return app


@asynccontextmanager
async def _running(service: Service) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for pool in (service.pool, service.uploads, service.downloads):
            await pool.open()
            stack.push_async_callback(pool.close)
        await stack.enter_async_context(_counting(service))
        await stack.enter_async_context(hearing(service.news))
        if service.settings.worker:
            await stack.enter_async_context(working(service.settings, service.news))
        yield


@asynccontextmanager
async def _counting(service: Service) -> AsyncIterator[None]:
    counting = asyncio.create_task(metrics.keep_counting(service), name="counts")
    try:
        yield
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        with suppress(Exception):
            await metrics.hand_over(service)


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
    store = Store(settings.store)
    # calls alone: imports; the rest: one each for sweeping, the clock and deliveries
    log.info(
        "worker %s starts",
        _worker_name(),
        extra={
            "fields": {
                name: getattr(settings, name)
                for name in ("import_sessions", "exports", "fetches", "max_jobs")
            }
        },
    )
    calls = _pool(settings, settings.import_sessions + 4, "pgsluice worker")
    # a connection that carries bytes, and one that keeps the lease
    size = 2 * (settings.exports + settings.fetches)
    transfers = _pool(settings, size, "pgsluice transfer", _SLOW_SECONDS)
    async with calls, transfers:
        hands: list[tuple[Hand, int]] = [
            (Steps(calls), settings.import_sessions),
            (Fetches(transfers, settings, stopping), settings.fetches),
            (Housekeeping(calls), 1),
            (Clock(calls), 1),
            (Deliveries(calls, settings), _DELIVERIES),
            (Exports(transfers, store), settings.exports),
            (Files(calls, store), 1),
        ]
        tasks = [
            asyncio.create_task(run_hand(hand, slots, news, stopping)) for hand, slots in hands
        ]
        listener = asyncio.create_task(queue.listen(url, lambda: news.tell("work")))
        try:
            yield
        finally:
            await queue.stop(listener)
            stopping.set()
            news.tell_all()
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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


def _pool(settings: Settings, size: int, name: str, stall: int = STALL_SECONDS) -> Pool:
    return new_pool(
        settings.database_url or "",
        size=size,
        name=name,
        stall=stall,
        worker=_worker_name(),
        api_prefix=f"/{settings.api_prefix}",
        **{name: getattr(settings, name) for name in _TOLD},
    )


def _refuse(request: AnyRequest, exc: Exception) -> Response[bytes]:
    """Every failure as a problem; what is ours to mend goes into the log."""
    problem = _problem(request, exc)
    if problem.status >= 500:
        log.error(
            "%s %s: %s",
            request.method,
            request.url.path,
            exc,
            exc_info=exc if problem.status == 500 else None,
            extra={"fields": {"request_id": request.state.get("request_id")}},
        )
    return earlier.refusal(request, problem)


def _problem(request: AnyRequest, exc: Exception) -> ProblemError:
    if isinstance(exc, ProblemError):
        return exc
    if isinstance(exc, NotFoundException):
        return ProblemError(404, f"there is nothing at {request.url.path}; see /docs for what is")
    if isinstance(exc, MethodNotAllowedException):
        detail = f"{request.method} does not go with {request.url.path}; see /docs for what does"
        return ProblemError(405, detail, exc.headers)
    if isinstance(exc, HTTPException):
        return ProblemError(exc.status_code, exc.detail, exc.headers)
    return problem_of(exc) if isinstance(exc, Error) else problem_of(RuntimeError())
