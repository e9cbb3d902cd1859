"""Replies: JSON with its headers, problems, entity tags."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from ..errors import ProblemError
from .service import RUNNING, AnyRequest


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
    known = request.headers.get("if-none-match", "")
    extra = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    if known.strip() == "*" or tag in (word.strip() for word in known.split(",")):
        return Response(b"", status_code=304, headers=extra, media_type="application/json")
    return json_reply(content, headers=extra)


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
