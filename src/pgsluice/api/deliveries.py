"""The webhook of a job: how it was delivered, and once more."""

from litestar import Response, get, post

from . import schedule_doc as doc
from .query import parse_id, parse_query
from .reply import json_reply
from .service import AnyRequest, service_of


@get("/jobs/{job_id:str}/deliveries", opt=doc.DELIVERIES)
async def get_deliveries(request: AnyRequest, job_id: str) -> Response[bytes]:
    """Each attempt to deliver the webhook of a job."""
    parse_query(request.scope["query_string"], ())
    return json_reply(await service_of(request).ask("deliveries_json", job_id=parse_id(job_id)))


@post("/jobs/{job_id:str}/deliveries", opt=doc.REDELIVER, status_code=202)
async def redeliver(request: AnyRequest, job_id: str) -> Response[bytes]:
    """Deliver the webhook of an ended job again, at once."""
    parse_query(request.scope["query_string"], ())
    return json_reply(await service_of(request).ask("redeliver", job_id=parse_id(job_id)), 202)
