"""What becomes of jobs, in Python: the model that a database is held against."""

from dataclasses import dataclass, field
from typing import NamedTuple

ENDED = ("completed", "failed", "cancelled")
LARGE = 1100
BATCH = 400


class Sent(NamedTuple):
    """A record: its id (None: a malformed line), and the value beside it."""

    id: int | None
    value: str


Rows = dict[int, int]


@dataclass
class Job:
    """A job as the model knows it."""

    job_id: str
    kind: str
    resource: str
    sent: list[Sent] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)
    key: str | None = None
    schedule: str | None = None
    # of a fetch or export: who holds it
    lease: int | None = None
    may_fail: bool = False
    plan: list[str] | None = None
    applied: int = 0

    @property
    def dry(self) -> bool:
        return self.options.get("dry_run") is True


def errors_of(resource: str, sent: Sent, parents: Rows) -> bool:
    """Whether a record is rejected for what it is, whatever the file and the target hold."""
    if sent.id is None or not sent.value.isdigit():
        return True
    return int(sent.value) not in parents if resource == "b" else sent.value == "13"


def judge(job: Job, rows: Rows, parents: Rows) -> list[str]:
    """What becomes of each record."""
    seen: set[int] = set()
    found = []
    mode = job.options.get("mode", "upsert")
    for sent in job.sent:
        if sent.id is None or errors_of(job.resource, sent, parents) or sent.id in seen:
            found.append("rejected")
            continue
        seen.add(sent.id)
        if sent.id not in rows:
            found.append("rejected" if mode == "update" else "inserted")
        elif mode == "insert":
            found.append("rejected")
        else:
            found.append("unchanged" if rows[sent.id] == int(sent.value) else "updated")
    return found


def carry_out(job: Job, rows: Rows, first: int, last: int) -> None:
    """Write what the plan says of the records from `first` to before `last` (from 0)."""
    assert job.plan is not None
    for sent, outcome in list(zip(job.sent, job.plan, strict=True))[first:last]:
        if outcome in ("inserted", "updated") and sent.id is not None:
            rows[sent.id] = int(sent.value)
