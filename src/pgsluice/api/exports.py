"""Exports: a registered table on its way out, as SQL asked for it."""

from collections.abc import Callable
from typing import Any

from litestar import get

from ..database import Connection, Error, StatementCancelled, acting, call
from ..errors import ClientGoneError, ProblemError
from ..logins import enter
from ..made_files import require_format
from . import read_doc as doc
from .download import Ask, Download, download
from .query import parse_list, parse_query
from .reply import form_of
from .service import AnyRequest, Service, service_of

_KNOWN = ("resource", "format", "fields", "order", "limit", "include")
_OPTIONS = ("delimiter", "null", "header", "escape_formulas")
_DATES = ("created_after", "created_before")


@get("/exports", opt=doc.EXPORTS)
async def stream_export(request: AnyRequest) -> Download:
    """The rows of a resource; all parameters that are not ours are filters, judged in SQL."""
    query = parse_query(request.scope["query_string"], (*_KNOWN, *_OPTIONS, *_DATES), is_open=True)
    resource = query.get("resource")
    if not resource:
        raise ProblemError(
            400, "which resource? add ?resource=NAME; GET the list of resources to see the names"
        )
    form = form_of(request, query, ("ndjson", "csv", "json", "xlsx", "parquet"))
    require_format(form)
    dates = {name: query.values[name] for name in _DATES if name in query.values}
    asked = {
        "resource": resource,
        "format": form,
        "fields": parse_list(query.get("fields")),
        "filters": query.rest() | dates,
        "ordering": parse_list(query.get("order")),
        "limit": query.whole("limit", 0, 10**15),
        "include": parse_list(query.get("include")),
        "options": {name: query.values[name] for name in _OPTIONS if name in query.values},
    }
    service = service_of(request)
    caller = acting.get()
    login = caller.login if caller else None
    if login is None and service.replica.is_wanted:
        judged = await _judged(service, asked)
        try:
            return await download(
                request, service.replica, judged, _name_of(resource), _told(service, "replica")
            )
        except (ClientGoneError, StatementCancelled):
            raise
        except (Error, ProblemError) as exc:
            # what the file's form cannot hold is no fault of the replica
            if isinstance(exc, ProblemError) and exc.status < 500:
                raise
            service.replica.give_up(exc)

    async def ask(conn: Connection) -> dict[str, Any]:
        if login is None:
            return dict(await call(conn, "export_copy", **asked))
        # made by the service, which holds its fence, and run by the login
        async with service.pool.connection() as own, own.transaction():
            about: dict[str, Any] = await call(own, "export_copy", **asked)
            await enter(conn, about)
        return about

    return await download(
        request,
        service.logins.readers(login) if login else service.downloads,
        ask,
        _name_of(resource),
        _told(service, "primary"),
    )


async def _judged(service: Service, asked: dict[str, Any]) -> Ask:
    """The export as the primary allows and writes it, for a session of the replica to run."""
    async with service.pool.connection() as own:
        about = dict(await call(own, "export_copy", **asked))
        # asked after it: the replica must have the table as the query takes it to be
        place = await call(own, "source_place")

    async def ask(conn: Connection) -> dict[str, Any]:
        await service.replica.catch_up(conn, place)
        await call(conn, "read_as", role=about["role"], search_path=about["search_path"])
        return about

    return ask


def _name_of(resource: str) -> Callable[[dict[str, Any]], str]:
    return lambda about: f"{resource}.{about['extension']}"


def _told(service: Service, source: str) -> dict[str, str]:
    """Which server was read, where there are two."""
    return {"X-Read-From": source} if service.replica.pool else {}
