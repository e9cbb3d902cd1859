"""What all rules of the life of jobs share: the start, the calls, the choice of a job."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from .importer import Connection, rows
from .life_model import BATCH, Job, Rows, Sent

SMALL = st.lists(
    st.builds(
        Sent, st.integers(1, 12) | st.just(None), st.sampled_from(["1", "2", "3", "3", "13", "x"])
    ),
    max_size=8,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["upsert", "insert", "update"]),
        "atomic": st.just(True),
        "dry_run": st.just(True),
        "results": st.just(True),
    },
)
RESOURCES = st.sampled_from(["a", "a", "b", "c"])
IDEMPOTENT = st.sampled_from([None, None, "k1", "k2"])
CALLERS = st.sampled_from([None, None, "only_a", "all"])
MAY_USE = {"only_a": {"a"}, "all": {"a", "b", "c"}, None: {"a", "b", "c"}}
PICK = st.integers(0, 1 << 20)
SESSIONS = 3
SCOPE = "POST /v1/imports"
UNKNOWN = "00000000-0000-7000-8000-000000000000"
COUNTS = ("inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed")

LATER = """
update sluice.job set (created_at, heartbeat_at, started_at, completed_at)
    = (created_at - {0}, heartbeat_at - {0}, started_at - {0}, completed_at - {0});
update sluice.job set (expires_at, claimed_at, not_before)
    = (expires_at - {0}, claimed_at - {0}, not_before - {0});
update sluice.step set (claimed_at, not_before) = (claimed_at - {0}, not_before - {0})
    where state = 'todo';
update sluice.idempotency set (created_at, beat_at) = (created_at - {0}, beat_at - {0});
update sluice.export_file set expires_at = expires_at - {0};
update sluice.tick set due_at = due_at - {0};
update sluice.schedule set next_at = next_at - {0};
"""
EMPTY = """
truncate sluice.job, sluice.step, sluice.idempotency, sluice.stale_file, sluice.schedule,
    sluice.delivery cascade;
truncate a, b, c;
"""
WAITS = ("pending", "processing")
TIED = {"a": {"a", "b"}, "b": {"a", "b"}, "c": {"c"}}


class Words(RuleBasedStateMachine):
    """A database as it is at the start, and how its functions are called."""

    dsn = ""
    conn: Connection
    keys: dict[str, str]
    sessions: list[Connection]
    steps = 0
    examples = 0
    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        type(self).examples += 1
        for name in rows(
            self.conn,
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname = 'sluice_stage'",
        ):
            self.conn.execute(f"drop table {name}")
        self.conn.execute(EMPTY)
        for session in self.sessions:
            session.execute("rollback")
            session.execute("select set_config('sluice.claim', '', false)")
        # what a session did in a transaction that is still open: the job that it holds
        self.open: dict[int, str] = {}
        self.jobs: dict[str, Job] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.claims: dict[tuple[str, str], dict[str, Any]] = {}
        self.leases: list[tuple[str, int]] = []
        self.targets: dict[str, Rows] = {"a": {}, "b": {}, "c": {}}
        self.seen: dict[str, dict[str, Any]] = {}
        self.clock = 0.0

    @classmethod
    def session(cls) -> Connection:
        """A worker's session."""
        conn = psycopg.connect(cls.dsn, autocommit=True)
        conn.execute(f"select set_config('sluice.batch_rows', '{BATCH}', false)")
        conn.execute("select set_config('sluice.ahead_rows', '500', false)")
        return conn

    @contextmanager
    def acting(self, caller: str | None) -> Iterator[None]:
        """What a request does under a key."""
        with self.conn.transaction():
            key = self.keys.get(caller or "", "")
            self.conn.execute(
                "select set_config('sluice.key', %s, true), set_config('sluice.caller', %s, true)",
                [key, key],
            )
            yield

    def call(self, query: str, *values: Any, caller: str | None = None) -> Any:
        """What a function replies, as a request of a caller."""
        try:
            with self.acting(caller):
                row = self.conn.execute(query.encode(), values).fetchone()
        except psycopg.errors.LockNotAvailable:
            # behind what a session did in a transaction that is still open
            assert self.open, query
            for number in [*self.open]:
                self.end_transaction(number, "rollback")
            return self.call(query, *values, caller=caller)
        return row[0] if row else None

    def refused(self, query: str, *values: Any, caller: str | None = None) -> str | None:
        """The SQLSTATE with which it is refused; None: it is not."""
        try:
            self.call(query, *values, caller=caller)
        except psycopg.Error as error:
            return error.sqlstate
        return None

    def some(self, pick: int, *states: str, **wanted: Any) -> Job | None:
        """One of the jobs in such a state, that nobody's open transaction holds."""
        found = [
            job
            for job in self.jobs.values()
            if self.seen[job.job_id]["state"] in states
            and job.job_id not in self.open.values()
            and all(getattr(job, name) == value for name, value in wanted.items())
        ]
        return found[pick % len(found)] if found else None

    def note(self, job: Job) -> Job:
        self.jobs[job.job_id] = job
        return job
