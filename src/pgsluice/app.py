"""create_app(): the only place where the parts meet."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from . import __version__
from .api import (
    access,
    console,
    deliveries,
    docs,
    document,
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
    overview,
    resources,
    schedules,
)
from .api.envelope import Envelope
from .api.service import AnyRequest, Service
from .api.uniform import Uniform
from .database import Error, problem_of
from .errors import ProblemError
from .settings import Settings
from .worker import SLOW_SECONDS, hearing, new_news, pool_of, replica_of, working

log = logging.getLogger("pgsluice.app")

_API = (
    imports.post_import,
    jobs.list_imports,
    jobs.list_jobs,
    overview.overview,
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
    keys.update_key,
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
    resources.match_header,
    resources.guess_resource,
    schedules.list_schedules,
    schedules.get_schedule,
    schedules.post_schedule,
    schedules.put_schedule,
    schedules.pause_schedule,
    schedules.resume_schedule,
    schedules.run_schedule,
    schedules.delete_schedule,
    schedules.cron_ticks,
    deliveries.get_deliveries,
    deliveries.redeliver,
)
# Where the earlier systems had them: SLUICE_API_PREFIX does not move these.
_EARLIER = (
    earlier_a.bulk_users,
    earlier_e.post_user_import,
    earlier_e.get_user_import,
)
_ROOT = (
    health.health,
    health.ready,
    health.live,
    metrics.metrics,
    docs.openapi_json,
    docs.docs,
    docs.earlier_docs,
    console.console,
    console.console_file,
    console.earlier_queues,
)


def create_app(settings: Settings) -> Litestar:
    """The service as an ASGI application; `settings.database_url` must be set."""
    if settings.database_url is None:
        raise ValueError("create_app needs a database_url")
    size = settings.pool_size
    service = Service(
        settings,
        pool=pool_of(settings, size, "pgsluice api"),
        uploads=pool_of(settings, size, "pgsluice upload", SLOW_SECONDS),
        # whoever downloads may pause as long as they like
        downloads=pool_of(settings, max(2, size // 2), "pgsluice download", 0),
        replica=replica_of(settings, max(2, size // 2), "pgsluice replica", 0),
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
    app.state["openapi"] = document.build(app, __version__)
    # Not a middleware: those do not see requests that no route takes.
    app.asgi_handler = Envelope(
        Uniform(app.asgi_handler, document.methods_of(app.state["openapi"])), service
    )
    return app


@asynccontextmanager
async def _running(service: Service) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for pool in (service.pool, service.uploads, service.downloads):
            await pool.open()
            stack.push_async_callback(pool.close)
        await stack.enter_async_context(service.replica.running())
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
