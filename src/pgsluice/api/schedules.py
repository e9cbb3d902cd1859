"""Schedules: imports and exports that begin by the clock; SQL keeps, judges and fires them."""

from litestar import Response, delete, get, post, put

from . import schedule_doc as doc
from .json_body import json_object
from .query import parse_query
from .reply import json_reply, tagged_reply
from .service import AnyRequest, service_of
from .urls import check_urls


@get("/schedules", opt=doc.LIST)
async def list_schedules(request: AnyRequest) -> Response[bytes]:
    """All schedules."""
    parse_query(request.scope["query_string"], ())
    service = service_of(request)
    found = await service.ask("schedules_json")
    return tagged_reply(request, found)


@get("/schedules/{name:str}", opt=doc.ONE)
async def get_schedule(request: AnyRequest, name: str) -> Response[bytes]:
    """One schedule with its newest ticks."""
    parse_query(request.scope["query_string"], ())
    service = service_of(request)
    return tagged_reply(request, await service.ask("schedule_json", name=name))


@post("/schedules", opt=doc.POST, status_code=201)
async def post_schedule(request: AnyRequest) -> Response[bytes]:
    """Make a schedule; the same one again is no error."""
    return await _put(request, None, replace=False)


@put("/schedules/{name:str}", opt=doc.PUT)
async def put_schedule(request: AnyRequest, name: str) -> Response[bytes]:
    """Make a schedule, or replace the one of this name."""
    return await _put(request, name, replace=True)


async def _put(request: AnyRequest, name: str | None, *, replace: bool) -> Response[bytes]:
    parse_query(request.scope["query_string"], ())
    service = service_of(request)
    asked = await json_object(request)
    if isinstance(later := asked.get("request"), dict):
        check_urls(service.settings, later, "url", "callback_url")
    made = await service.ask("put_schedule", name=name, schedule=asked, replace=replace)
    schedule = made["schedule"]
    headers = {"Location": schedule["links"]["self"]}
    return json_reply(schedule, 201 if made["created"] else 200, headers)


@post("/schedules/{name:str}/pause", opt=doc.PAUSE, status_code=200)
async def pause_schedule(request: AnyRequest, name: str) -> Response[bytes]:
    """No tick is fired until it is resumed."""
    return await _changed(request, "pause_schedule", name)


@post("/schedules/{name:str}/resume", opt=doc.RESUME, status_code=200)
async def resume_schedule(request: AnyRequest, name: str) -> Response[bytes]:
    """The next tick is the first after now."""
    return await _changed(request, "resume_schedule", name)


async def _changed(request: AnyRequest, function: str, name: str) -> Response[bytes]:
    parse_query(request.scope["query_string"], ())
    service = service_of(request)
    return json_reply(await service.ask(function, name=name))


@post("/schedules/{name:str}/run", opt=doc.RUN, status_code=202)
async def run_schedule(request: AnyRequest, name: str) -> Response[bytes]:
    """Make its job now, beside its ticks."""
    parse_query(request.scope["query_string"], ())
    service = service_of(request)
    job = await service.ask("run_schedule", name=name)
    request.scope["state"]["job_id"] = job["job_id"]
    return json_reply(job, 202, {"Location": job["links"]["self"], "Retry-After": "1"})


@get("/cron", opt=doc.CRON)
async def cron_ticks(request: AnyRequest) -> Response[bytes]:
    """The next ticks of a cron expression, to see what it means."""
    fields = parse_query(request.scope["query_string"], ("cron", "time_zone"))
    ticks = await service_of(request).ask(
        "cron_ticks", cron=fields.get("cron"), time_zone=fields.get("time_zone") or "UTC"
    )
    return json_reply(ticks)


@delete("/schedules/{name:str}", opt=doc.DELETE, status_code=204)
async def delete_schedule(request: AnyRequest, name: str) -> None:
    """Remove it; the jobs that it made stay."""
    parse_query(request.scope["query_string"], ())
    await service_of(request).ask("unschedule", name=name)
