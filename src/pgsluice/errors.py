"""Refusals: every one leaves the service as an RFC 9457 problem.

Exception
└── ProblemError          an HTTP status and a sentence that says what to do
    └── ClientGoneError   the client left in the middle of its request; nobody reads the reply
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

_OURS = re.compile(r"IO([45]\d\d)")
_LONGEST = 2000
_UNAVAILABLE = ("08", "53", "57")
_DISK_FULL = "53100"
_IN_THE_WAY = ("40001", "40P01", "55P03")


class ProblemError(Exception):
    """A refusal: status and detail become the reply, headers go along with it."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        # What was wrong is often repeated, and a request may hold a lot of it.
        self.detail = detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}…"
        super().__init__(self.detail)
        self.status = status
        self.headers = dict(headers or {})

    def body(self, instance: str) -> dict[str, Any]:
        """The problem+json document; `error` repeats `detail`, as the earlier systems had it."""
        return {
            "type": "about:blank",
            "title": title_of(self.status),
            "status": self.status,
            "detail": self.detail,
            "instance": instance[:_LONGEST],
            "error": self.detail,
        }


class ClientGoneError(ProblemError):
    """The client closed the connection before its request was complete; logged as 499."""

    def __init__(self) -> None:
        super().__init__(499, "the client left before its request was complete; nothing was kept")


def title_of(status: int) -> str:
    """The registered phrase of a status, or one word for those without."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Closed Request" if status == 499 else "Error"


def sentence(message: str, hint: str | None) -> str:
    """What is wrong, then what to do, as one detail."""
    return f"{message.rstrip('. ')}. {hint}" if hint else message


def problem_of_sqlstate(
    sqlstate: str | None, message: str | None, hint: str | None, wait: str | None = None
) -> ProblemError:
    """The refusal that an SQLSTATE stands for; nothing of the SQL shows unless SQL meant it to.

    `wait`: the detail of ours, which is the seconds to wait if it has one.
    """
    if sqlstate and (ours := _OURS.fullmatch(sqlstate)):
        status = int(ours[1])
        wait = wait or ("5" if status == HTTPStatus.SERVICE_UNAVAILABLE else None)
        detail = sentence(message or "refused", hint)
        return ProblemError(status, detail, {"Retry-After": wait} if wait else None)
    if sqlstate == _DISK_FULL:
        return ProblemError(
            503,
            "the disk of the database is full; make room where Postgres has its data, then try "
            "again",
            {"Retry-After": "30"},
        )
    if sqlstate in _IN_THE_WAY:
        return ProblemError(
            503,
            "another session holds a table or row that this needs (an ALTER TABLE, a VACUUM FULL, "
            "a long transaction); try again when it is done",
            {"Retry-After": "5"},
        )
    if sqlstate is None or sqlstate.startswith(_UNAVAILABLE):
        return unavailable()
    return ProblemError(
        500, "something failed inside the service; the log has it under this X-Request-Id"
    )


def unavailable() -> ProblemError:
    """The reply while Postgres cannot be reached or has no room."""
    return ProblemError(
        503,
        "the database is not available or too busy right now; try again in a few seconds",
        {"Retry-After": "5"},
    )


def busy(what: str) -> ProblemError:
    """The reply while as many uploads or downloads run as the settings allow."""
    return ProblemError(
        503, f"too many {what} at once; try again in a few seconds", {"Retry-After": "2"}
    )
