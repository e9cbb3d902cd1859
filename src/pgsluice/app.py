"""create_app(): the only place where the parts meet."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from . import __version__, tasks
from .api import access, docs, exports, health, imports, jobs, openapi, resources
from .api.envelope import Envelope
from .api.reply import problem_reply
from .api.service import AnyRequest, Service
from .database import Error, Pool, new_pool, problem_of
from .errors import ProblemError
from .settings import Settings
from .worker import Worker

log = logging.getLogger("pgsluice.app")

_API = (
    imports.post_import,
    jobs.list_imports,
    jobs.list_jobs,
    jobs.get_import,
    jobs.get_errors,
    jobs.get_error_summary,
    jobs.get_rejects,
    exports.stream_export,
    resources.list_resources,
    resources.get_resource,
    resources.get_template,
)
# What SQL reads: SLUICE_STAGE is sluice.stage there.
_TOLD = (
    "stage",
    "idempotency_ttl",
    "job_ttl",
    "stage_ttl",
    "export_ttl",
    "max_jobs",
    "sessions_per_import",
)
_ROOT = (
    health.health,
    health.ready,
    health.live,
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
        uploads=_pool(settings, size, "pgsluice upload"),
        downloads=_pool(settings, max(2, size // 2), "pgsluice download"),
    )
    app = Litestar(
        route_handlers=[
            Router(f"/{settings.api_prefix}", route_handlers=_API, guards=[access.guard]),
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
    app.asgi_handler = Envelope(app.asgi_handler)
    return app


@asynccontextmanager
async def _running(service: Service) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for pool in (service.pool, service.uploads, service.downloads):
            await pool.open()
            stack.push_async_callback(pool.close)
        if service.settings.worker:
            await stack.enter_async_context(working(service.settings, service.moved))
        yield


@asynccontextmanager
async def working(
    settings: Settings, moved: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Worker]:
    """A worker with its sessions and its ear at the queue, for as long as the block lasts."""
    url = settings.listen_url or settings.database_url or ""
    async with _pool(settings, settings.import_sessions + 1, "pgsluice worker") as pool:
        worker = Worker(pool, settings.import_sessions, moved)
        worker.start()
        listener = asyncio.create_task(tasks.listen(url, worker.wake))
        try:
            yield worker
        finally:
            await tasks.stop(listener)
            await worker.stop()


def _pool(settings: Settings, size: int, name: str) -> Pool:
    return new_pool(
        settings.database_url or "",
        size=size,
        name=name,
        worker=f"{socket.gethostname()}:{os.getpid()}",
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
    return problem_reply(request, problem)


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
