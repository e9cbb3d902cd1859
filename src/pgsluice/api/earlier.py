"""Refusals on the paths of systems A and E, in the shapes that their clients read."""

from litestar import Response

from ..errors import ProblemError
from .reply import json_reply, problem_reply
from .service import AnyRequest

BULK_USERS = "/api/users/bulk"
USER_IMPORTS = "/api/v1/imports/users"

_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "conflict",
    429: "too_many_requests",
    503: "unavailable",
}


class InvalidSourceError(ProblemError):
    """System E: the file cannot be imported; nothing was queued."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


def refusal(request: AnyRequest, problem: ProblemError) -> Response[bytes]:
    """A refusal as its path has always had it; a problem everywhere else."""
    path = request.url.path.rstrip("/")
    if path == BULK_USERS:
        return json_reply({"error": problem.detail}, problem.status, problem.headers)
    if path == USER_IMPORTS or path.startswith(USER_IMPORTS + "/"):
        error = {"code": code_of(problem), "message": problem.detail}
        return json_reply({"error": error}, problem.status, problem.headers)
    return problem_reply(request, problem)


def code_of(problem: ProblemError) -> str:
    """The code by which a client of system E tells errors apart."""
    if isinstance(problem, InvalidSourceError):
        return "invalid_source"
    return _CODES.get(problem.status, "internal_error")
