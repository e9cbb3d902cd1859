"""Everything that can be wrong: with a record, with a request."""

import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pgsluice.models import ERROR_CODES

from .markdown import bullets, page, prose, sentence

# As RFC 9110 has them; older Pythons have older words.
_PHRASES = {
    "413": "Content Too Large",
    "416": "Range Not Satisfiable",
    "422": "Unprocessable Content",
}
# A meaning of a status names so many routes at most.
_ROUTES = 4
_RECORDS = """\
A record with an error is rejected; the others of its file go on. Each error has the record's
number and line, field, code, constraint, message and value
([RecordError](http/objects.md#recorderror)); the rejects hold the records as they were sent, to
be mended and sent again. A record gets all its errors at once."""
_REQUESTS = """\
A refused request is an RFC 9457 problem ([Problem](http/objects.md#problem)): `detail` says what
is wrong and what to do. From psql the same refusal is an error with SQLSTATE `IO` and the status,
with a hint."""
_JOBS = """\
A job that has failed has the reason in `error` ([JobProblem](http/objects.md#jobproblem)); its
data is kept for `SLUICE_STAGE_TTL`, so that it can be retried. What was merged stays, unless the
import is atomic. [Exit codes](command-line.md#exit-codes) are those of the command line."""


def errors_page(document: dict[str, Any], sql: Path) -> str:
    """docs/reference/errors.md; `sql` is where the sources of the functions are."""
    parts = ["## Rejected records", _RECORDS.replace("\n", " ")]
    for code, fault in ERROR_CODES.items():
        parts += [f"### {code}", fault.means, f"**What to do:** {fault.do}"]
    parts += ["## Failed jobs", _JOBS.replace("\n", " ")]
    parts += ["## Refused requests", _REQUESTS.replace("\n", " ")]
    raised = set(re.findall(r"'IO(\d{3})'", "".join(f.read_text() for f in sql.rglob("*.sql"))))
    for status, meanings in sorted(_meanings(document).items()):
        psql = f" (`IO{status}`)" if status in raised else ""
        phrase = _PHRASES.get(status) or HTTPStatus(int(status)).phrase
        parts.append(f"### {status} {phrase}{psql}")
        told = [_where(why, users) for why, users in meanings.items()]
        parts.append(told[0] if len(told) == 1 else bullets(told))
    return page("Errors", *parts)


def _where(why: str, users: list[str]) -> str:
    """What a status means, and on which routes unless on all."""
    if not users:
        return sentence(prose(why))
    told = ", ".join(f"`{user}`" for user in users[:_ROUTES])
    more = " and others" if len(users) > _ROUTES else ""
    return f"{sentence(prose(why)).removesuffix('.')} ({told}{more})."


def _meanings(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """What each status means and on which routes, common meanings first."""
    common = document["components"]["responses"]
    found: dict[str, dict[str, list[str]]] = {
        status: {reply["description"]: []} for status, reply in common.items()
    }
    for path, item in document["paths"].items():
        for method in sorted(item.keys() - {"head"}):
            operation = item[method]
            if "earlier systems" in operation["tags"]:
                continue
            for status, reply in operation["responses"].items():
                if status >= "400" and "$ref" not in reply:
                    meanings = found.setdefault(status, {})
                    meanings.setdefault(reply["description"], []).append(f"{method.upper()} {path}")
    return found
