"""The reply to a request that made a job: 202 at once, or its end if the client waits for it."""

from typing import Any

from litestar import Response

from .idempotency import replied
from .prefer import wait_for_end, wanted_wait
from .profile import shown
from .reply import is_running, json_reply, retry_after
from .service import AnyRequest, Service


def location(service: Service, job: dict[str, Any]) -> str:
    """Where the job answers."""
    return service.path(f"{job['kind']}s", job["job_id"])


async def accepted(
    request: AnyRequest, service: Service, job: dict[str, Any], key: str | None, scope: str
) -> Response[bytes]:
    """202 at once; or what became of the job within the time the client is willing to wait."""
    request.scope["state"]["job_id"] = job["job_id"]
    headers = {"Location": location(service, job), "Vary": "Prefer"}
    wait = wanted_wait(request.headers.get("prefer", ""))
    if wait is not None:
        job = await wait_for_end(service, job, wait)
        headers["Preference-Applied"] = f"wait={wait}"
    status = 202 if is_running(job) else 200
    await replied(service, key, scope, status)
    reply = await shown(request, job, is_new=status == 202)
    return json_reply(reply, status, headers | retry_after(job))


async def replayed(request: AnyRequest, service: Service, first: dict[str, Any]) -> Response[bytes]:
    """The first reply to this Idempotency-Key again, with the job as it is now."""
    job = first["job"]
    request.scope["state"]["job_id"] = job["job_id"]
    headers = {"Location": location(service, job), "Idempotent-Replayed": "true", "Vary": "Prefer"}
    reply = await shown(request, job | {"duplicate": True}, is_new=first["status"] == 202)
    return json_reply(reply, first["status"], headers | retry_after(job))
