"""The shape of replies: ours, or an earlier system's, as header, key or setting ask for it."""

from contextlib import suppress
from typing import Any

from ..database import Caller, Error
from ..errors import ProblemError
from ..store import StoreError
from .query import parse_id
from .service import AnyConnection, AnyRequest, Service, service_of

PROFILES = ("realworld", "nest")
# What a client of these sends beyond the fields of a resource was never an error there.
DEFAULTS = {"unknown_fields": "ignore"}

# No store signs for longer than a week.
_LONGEST_LINK = 604800.0


def choose(connection: AnyConnection, caller: Caller) -> None:
    """Settle the shape of the reply: by header Accept-Profile, else by key, else by setting."""
    asked = connection.headers.get("accept-profile", "").strip().lower()
    if asked and asked not in ("default", *PROFILES):
        raise ProblemError(
            406, f"unknown profile {asked[:100]!r}; Accept-Profile takes default, realworld or nest"
        )
    wanted = asked or caller.profile or service_of(connection).settings.api_profile
    connection.scope["state"]["profile"] = wanted if wanted in PROFILES else None


def profile_of(request: AnyConnection) -> str | None:
    """The profile in whose shape to reply; None for our own."""
    profile: str | None = request.scope["state"].get("profile")
    return profile


def defaults_of(request: AnyRequest) -> dict[str, str]:
    """The options of imports that the request's profile sets unless the request does."""
    return dict(DEFAULTS) if profile_of(request) else {}


async def shown(
    request: AnyRequest, job: dict[str, Any], *, is_new: bool = False
) -> dict[str, Any]:
    """The job in the shape that was asked for; `is_new`: as the reply to what has made it."""
    service, profile = service_of(request), profile_of(request)
    if profile is None:
        return job
    number = parse_id(job["job_id"])
    made: dict[str, Any] = await service.ask(
        "job_shaped", job_id=number, profile=profile, is_new=is_new
    )
    if "duplicate" in job:
        made["duplicate"] = job["duplicate"]
    if profile == "nest" and made.get("downloadUrl"):
        made["downloadUrl"] = await _absolute(request, service, job, made["downloadUrl"])
    return made


async def shown_list(request: AnyRequest, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs in the shape that was asked for, without their errors."""
    service, profile = service_of(request), profile_of(request)
    if profile is None:
        return jobs
    numbers = [parse_id(job["job_id"]) for job in jobs]
    made: list[dict[str, Any]] = await service.ask("jobs_shaped", job_ids=numbers, profile=profile)
    for job in made:
        if profile == "nest" and job.get("downloadUrl"):
            job["downloadUrl"] = _base(request, service) + job["downloadUrl"]
    return made


async def _absolute(request: AnyRequest, service: Service, job: dict[str, Any], path: str) -> str:
    """A link that needs no key: to the store where the settings allow it, else to ourselves."""
    if service.settings.downloads == "redirect":
        # where this fails our own link leads there too, or says what is wrong
        with suppress(StoreError, Error):
            about = await service.ask("export_download", job_id=parse_id(job["job_id"]))
            seconds = max(1.0, min(_LONGEST_LINK, float(about["seconds_left"])))
            if link := await service.store.signed_url(about["path"], seconds):
                return link
    return _base(request, service) + path


def _base(request: AnyRequest, service: Service) -> str:
    return service.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
