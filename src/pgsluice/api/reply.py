"""Replies: JSON with its headers, problems, entity tags."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from ..errors import ProblemError
from .query import Fields
from .service import RUNNING, AnyRequest

MEDIA_TYPES = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "schema": "application/schema+json",
}


def json_reply(
    content: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response[bytes]:
    """A JSON document, with a line end for those who read it in a terminal."""
    body = msgspec.json.encode(content) + b"\n"
    return Response(body, status_code=status, headers=dict(headers or {}), media_type=media_type)


def problem_reply(request: AnyRequest, problem: ProblemError) -> Response[bytes]:
    """A refusal as application/problem+json."""
    return json_reply(
        problem.body(request.url.path),
        problem.status,
        problem.headers,
        "application/problem+json",
    )


def tagged_reply(
    request: AnyRequest, content: Any, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """A JSON document with a weak entity tag; 304 when the client has it already."""
    digest = hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
    tag = f'W/"{digest[:32]}"'
    # compared weakly, as RFC 9110 has it for If-None-Match
    known = [word.strip().removeprefix("W/") for word in _if_none_match(request).split(",")]
    extra = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    if "*" in known or tag.removeprefix("W/") in known:
        return Response(b"", status_code=304, headers=extra, media_type="application/json")
    return json_reply(content, headers=extra)


def _if_none_match(request: AnyRequest) -> str:
    return ",".join(request.headers.getall("if-none-match", []))


def form_of(request: AnyRequest, fields: Fields, forms: tuple[str, ...]) -> str:
    """The form of a reply: by `format`, else as Accept likes best, else the first of `forms`."""
    return fields.choice("format", forms, _accepted(request, forms))


def _accepted(request: AnyRequest, forms: tuple[str, ...]) -> str:
    weights: dict[str, float] = {}
    for entry in ",".join(request.headers.getall("accept", [])).lower().split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        weight = next((part for part in parameters if part.startswith("q=")), "q=1")
        try:
            weights[kind] = float(weight[2:])
        except ValueError:
            continue
    # Who takes anything gets what we would send anyone: that wins against equals.
    anything = weights.get("*/*", 0.0)

    def liking(form: str) -> float:
        named = weights.get(MEDIA_TYPES[form])
        return max(named or 0.0, anything if form == forms[0] and named is None else 0.0)

    return max(forms, key=liking)


def retry_after(job: Mapping[str, Any]) -> dict[str, str]:
    """The header that tells when to ask again, while the job runs."""
    return {"Retry-After": "1"} if job["status"] in RUNNING else {}


def is_running(job: Mapping[str, Any]) -> bool:
    """True until the job has ended in any way."""
    return job["status"] in RUNNING


def next_link(request: AnyRequest, values: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    """The Link header to the page after this one, when there is one."""
    if cursor is None:
        return {}
    query = urlencode({**values, "cursor": cursor})
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
