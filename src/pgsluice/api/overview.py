"""The service at a glance, for the console's first page and whoever else watches."""

from litestar import Response, get

from ..examples import HEALTH_EXAMPLE, JOB_EXAMPLE
from ..models import Schema, listing, moment, record, ref, text, whole
from . import openapi as doc
from .query import parse_query
from .reply import json_reply
from .service import AnyRequest, service_of

_FRESH = {"Cache-Control": "no-store"}
_SUMS: Schema = {name: whole() for name in ("jobs", "imported", "exported", "rejected")}
_RESULTS: Schema = {name: whole() for name in ("clean", "partial", "failed", "cancelled")}
_SUMS_EXAMPLE = {"jobs": 3, "imported": 29250, "exported": 0, "rejected": 750}
_OVERVIEW = record(
    hours=whole(description="how far it looks back"),
    seconds=whole(description="how long each place of the series is"),
    health=ref("Health"),
    rows_per_second=whole(description="of all jobs that run"),
    running=listing(ref("Job"), maxItems=20),
    series=listing(record(at=moment(), **_SUMS)),
    resources=listing(record(resource=text(), **_SUMS)),
    results=record(**_RESULTS),
)
_RUNNING = {key: value for key, value in JOB_EXAMPLE.items() if not key.startswith("errors")}
_EXAMPLE = {
    "hours": 24,
    "seconds": 3600,
    "health": HEALTH_EXAMPLE,
    "rows_per_second": 81000,
    "running": [
        _RUNNING | {"status": "processing", "phase": "merge", "outcome": None, "completed_at": None}
    ],
    "series": [{"at": "2026-01-05T12:00:00.000000Z", **_SUMS_EXAMPLE}],
    "resources": [{"resource": "users", **_SUMS_EXAMPLE}],
    "results": {"clean": 0, "partial": 3, "failed": 0, "cancelled": 0},
}


@get(
    "/overview",
    opt=doc.operation(
        "What runs, how healthy the service is, what ended in the last hours",
        "jobs",
        doc.content(_OVERVIEW, _EXAMPLE),
        doc.parameter(
            "hours",
            "how far to look back",
            {"type": "integer", "minimum": 1, "maximum": 168, "default": 24},
        ),
        refusals=(400,),
        headers=("Cache-Control",),
        description="Dry runs are left out, and so are jobs of resources that the key may not "
        "touch. `imported` records were written or found equal.",
    ),
)
async def overview(request: AnyRequest) -> Response[bytes]:
    """Jobs that run, records by time and resource, jobs by result; from one SQL function."""
    fields = parse_query(request.scope["query_string"], ("hours",))
    hours = fields.whole("hours", 1, 168) or 24
    return json_reply(await service_of(request).ask("overview", hours=hours), headers=_FRESH)
