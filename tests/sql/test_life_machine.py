"""Any order of all that can happen to jobs, against a model of what must come of it."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from ..effort import effort
from .importer import Connection, rows, table
from .life_model import BATCH, ENDED, LARGE, Job, Rows, Sent, carry_out, judge

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


class Life(RuleBasedStateMachine):
    """Uploads, fetches, exports, schedules, workers, their deaths, and the time that passes."""

    dsn = ""
    conn: Connection
    keys: dict[str, str]
    sessions: list[Connection]
    steps = 0
    examples = 0
    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        Life.examples += 1
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
        return conn

    # Words

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

    # Uploads

    @rule(
        resource=RESOURCES,
        options=OPTIONS,
        sent=SMALL,
        caller=CALLERS,
        key=IDEMPOTENT,
        urgent=st.booleans(),
        waits=st.integers(0, 3),
    )
    def begin_upload(
        self,
        resource: str,
        options: dict[str, Any],
        sent: list[Sent],
        caller: str | None,
        key: str | None,
        urgent: bool,
        waits: int,
    ) -> None:
        options = options | ({"priority": "interactive"} if urgent else {})
        if key and not self.claim(key, caller):
            return
        upload = self.receive(resource, options, sent, caller, key)
        if waits:
            self.finish_this(upload)

    @rule(
        resource=st.sampled_from(["a", "c"]),
        options=OPTIONS,
        bad=st.integers(0, 3),
        part=st.integers(0, 2),
    )
    def upload_much(self, resource: str, options: dict[str, Any], bad: int, part: int) -> None:
        sent = [Sent(5000 + part * 500 + i, "13" if i < bad else str(i % 7)) for i in range(LARGE)]
        upload = self.receive(resource, options, sent, None, None)
        self.finish_this(upload)

    def receive(
        self,
        resource: str,
        options: dict[str, Any],
        sent: list[Sent],
        caller: str | None,
        key: str | None,
    ) -> str:
        """Begin an upload and send it whole; it is still to be accepted."""
        begun = self.call(
            "select sluice.receive_begin('csv', %s, '{}', 'f.csv')",
            self.header(resource),
            caller=caller,
        )
        job_id = str(begun["job_id"])
        with self.acting(caller):
            self.fill(begun, sent)
            self.conn.execute(
                "select sluice.receive_segment(%s, %s, 9, '[[1, 2]]')", [job_id, len(sent)]
            )
        self.uploads[job_id] = {
            "resource": resource,
            "options": options,
            "sent": sent,
            "caller": caller,
            "key": key,
            "beat": self.clock,
        }
        return job_id

    def header(self, resource: str) -> list[str]:
        return ["id", "a_id" if resource == "b" else "v"]

    def fill(self, begun: Any, sent: list[Sent]) -> None:
        """COPY records as they are, and as malformed, in their order."""
        with self.conn.cursor() as cursor, cursor.copy(begun["copy_marked"]) as copy:
            for line, record in enumerate(sent, 2):
                copy.write(
                    f',,"lost","it is malformed","{line}"\n'
                    if record.id is None
                    else f'{record.id},{record.value},,,"{line}"\n'
                )

    def claim(self, key: str, caller: str | None) -> bool:
        """Claim an Idempotency-Key as a request does; whether it may go on."""
        known = self.claims.get((key, caller or ""))
        reply = self.call("select sluice.idempotency_claim(%s, %s)", key, SCOPE, caller=caller)
        self.happened[f"claim {reply['state']}"] += 1
        if known is None or (known["job"] is None and self.clock - known["beat"] > 60):
            assert reply == {"state": "new"}, (reply, known)
            self.claims[key, caller or ""] = {"job": None, "beat": self.clock}
            return True
        if known["job"] is None:
            assert reply == {"state": "receiving"}
            return False
        assert (reply["state"], reply["job"]["job_id"]) == ("done", known["job"])
        assert reply["digest"] == known["digest"]
        return False

    @rule(pick=PICK)
    @precondition(lambda self: self.uploads)
    def finish_upload(self, pick: int) -> None:
        self.finish_this(sorted(self.uploads)[pick % len(self.uploads)])

    def finish_this(self, job_id: str) -> None:
        """Accept an upload, unless it may not be."""
        upload = self.uploads.pop(job_id)
        caller, key, resource = upload["caller"], upload["key"], upload["resource"]
        digest = str(hash(tuple(upload["sent"])))
        gone = job_id not in self.receiving()
        claim = self.claims.get((key or "", caller or ""))
        state = self.refused(
            "select sluice.receive_finish(%s, %s, %s, %s, 9, %s, %s, %s)",
            job_id,
            resource,
            Jsonb(upload["options"]),
            len(upload["sent"]),
            digest,
            key,
            key and SCOPE,
            caller=caller,
        )
        if gone:
            assert state == "IO404"
            return
        if resource not in MAY_USE[caller]:
            assert state == "IO403", state
        elif claim and claim["job"]:
            assert state == "IO409", state
        else:
            assert state is None, state
            self.note(Job(job_id, "import", resource, upload["sent"], upload["options"], caller))
            if key:
                self.claims[key, caller or ""] = {"job": job_id, "digest": digest}
            return
        self.happened[f"finish {state}"] += 1
        self.call("select sluice.receive_abort(%s)", job_id)
        if claim and not claim["job"]:
            self.call("select sluice.idempotency_release(%s, %s)", key, SCOPE, caller=caller)
            del self.claims[key, caller or ""]

    @rule(pick=PICK, dies=st.booleans())
    @precondition(lambda self: self.uploads)
    def lose_upload(self, pick: int, dies: bool) -> None:
        """The client goes; the service tidies up, or dies with it."""
        job_id = sorted(self.uploads)[pick % len(self.uploads)]
        upload = self.uploads.pop(job_id)
        if dies:
            return
        self.call("select sluice.receive_abort(%s)", job_id)
        claim = self.claims.get((upload["key"] or "", upload["caller"] or ""))
        if claim and not claim["job"]:
            # as the service does it: a claim that another has taken over goes with it
            self.call(
                "select sluice.idempotency_release(%s, %s)",
                upload["key"],
                SCOPE,
                caller=upload["caller"],
            )
            del self.claims[upload["key"], upload["caller"] or ""]

    @rule(resource=RESOURCES, sent=SMALL, options=OPTIONS)
    def load_by_psql(self, resource: str, sent: list[Sent], options: dict[str, Any]) -> None:
        sent = [record for record in sent if record.id is not None]
        [(job_id, command)] = self.conn.execute(
            "select * from sluice.import_begin(%s, 'csv', %s, %s)",
            [resource, self.header(resource), Jsonb(options)],
        ).fetchall()
        command = command.removeprefix("\\").replace(f"from '{resource}.csv'", "from stdin")
        with self.conn.cursor() as cursor, cursor.copy(command.encode()) as copy:
            copy.write(",".join(self.header(resource)) + "\n")
            copy.write("".join(f"{record.id},{record.value}\n" for record in sent))
        self.conn.execute("select sluice.accept_copied(%s)", [job_id])
        self.note(Job(str(job_id), "import", resource, sent, options))

    # Fetches and exports

    @rule(resource=RESOURCES, sent=SMALL, options=OPTIONS, caller=CALLERS)
    def ask_for_fetch(
        self, resource: str, sent: list[Sent], options: dict[str, Any], caller: str | None
    ) -> None:
        query = "select sluice.fetch_create(%s, '{\"url\": \"https://x.org/f\"}', 'csv', %s, 'f')"
        if resource not in MAY_USE[caller]:
            assert self.refused(query, resource, Jsonb(options), caller=caller) == "IO403"
            return
        job = self.call(query, resource, Jsonb(options), caller=caller)
        self.note(Job(job["job_id"], "import", resource, sent, options, caller))

    @rule()
    def take_fetch(self) -> None:
        taken = self.call("select sluice.take_fetch()")
        if taken:
            job = self.jobs[taken["job_id"]]
            job.lease = taken["attempt"]
            self.leases.append((job.job_id, taken["attempt"]))

    @rule(pick=PICK, how=st.sampled_from(["finish", "finish", "fail", "release", "begin"]))
    @precondition(lambda self: self.leases)
    def go_on_with_fetch(self, pick: int, how: str) -> None:
        job_id, attempt = self.leases.pop(pick % len(self.leases))
        job = self.jobs.get(job_id)
        if job and job.kind == "export":
            self.go_on_with_export(job, attempt, how)
            return
        mine = job is not None and job.lease == attempt
        header = self.header(job.resource) if job else ["id", "v"]
        begin = "select sluice.fetch_begin(%s, %s, 'csv', %s, '{}', 'f')"
        if not job or not mine:
            self.happened["fetch lost"] += 1
            assert self.refused(begin, job_id, attempt, header) == "IO409"
            return
        job.lease = None
        if how in ("finish", "begin"):
            begun = self.call(begin, job_id, attempt, header)
            with self.conn.transaction():
                self.conn.execute(
                    "select sluice.fetch_segment(%s, %s, 0, 0, '[]')", [job_id, attempt]
                )
                self.fill(begun, job.sent)
                self.conn.execute(
                    "select sluice.fetch_segment(%s, %s, %s, 9, '[[1, 2]]')",
                    [job_id, attempt, len(job.sent)],
                )
        if how == "finish":
            self.call("select sluice.fetch_finish(%s, %s, %s, 9)", job_id, attempt, len(job.sent))
        elif how == "fail":
            job.may_fail = True
            self.call("select sluice.fetch_fail(%s, %s, 'No', 'not there')", job_id, attempt)
        elif how == "release":
            self.call("select sluice.fetch_release(%s, %s, 1, 'later')", job_id, attempt)
        else:
            # its worker dies with half a file stored
            job.lease = attempt
            self.happened["fetcher died"] += 1

    @rule(resource=RESOURCES, caller=CALLERS)
    def ask_for_export(self, resource: str, caller: str | None) -> None:
        query = "select sluice.export_create(array[%s], 'csv')"
        if resource not in MAY_USE[caller]:
            assert self.refused(query, resource, caller=caller) == "IO403"
            return
        job = self.call(query, resource, caller=caller)
        self.note(Job(job["job_id"], "export", resource, key=caller))

    @rule()
    def take_export(self) -> None:
        taken = self.call("select sluice.take_export()")
        if taken:
            self.jobs[taken["job_id"]].lease = taken["attempt"]
            self.leases.append((taken["job_id"], taken["attempt"]))

    def go_on_with_export(self, job: Job, attempt: int, how: str) -> None:
        mine = job.lease == attempt
        with self.conn.transaction():
            files = rows(self.conn, f"select sluice.export_begin('{job.job_id}', {attempt})")[0]
        assert (files is not None) == mine
        job.lease = None if mine else job.lease
        if how == "finish":
            found = [
                {
                    **file,
                    "resource": job.resource,
                    "rows": 1,
                    "bytes": 2,
                    "sha256": "0" * 64,
                    "content_type": "text/csv",
                    "parts": [{"resource": job.resource, "rows": 1}],
                }
                for file in files or ()
            ]
            assert (
                self.call(
                    "select sluice.export_finish(%s, %s, %s, '{}')",
                    job.job_id,
                    attempt,
                    json.dumps(found),
                )
                is mine
            )
        elif how == "begin":
            job.lease = attempt if mine else job.lease
        else:
            lasting = how == "fail"
            job.may_fail = job.may_fail or (mine and lasting)
            reply = self.call(
                "select sluice.export_fail(%s, %s, 'e', null, %s)", job.job_id, attempt, lasting
            )
            assert reply == ({True: "failed", False: "waits"}[lasting] if mine else None)

    # Schedules

    @rule(name=st.sampled_from(["s1", "s2"]), resource=RESOURCES, export=st.booleans())
    def schedule(self, name: str, resource: str, export: bool) -> None:
        request = {"resource": resource, "format": "csv"}
        self.call(
            "select sluice.schedule(%s, '* * * * *', %s, %s)",
            name,
            "export" if export else "import",
            Jsonb(request if export else request | {"url": "https://x.org/s.csv"}),
        )

    @rule()
    @precondition(lambda self: not self.open)
    def fire(self) -> None:
        self.call("select sluice.fire_schedules()")
        assert self.call("select sluice.fire_schedules()")["fired"] == 0
        for row in self.conn.execute(
            "select job_id::text, kind, resource, schedule from sluice.job"
            " where schedule is not null"
        ).fetchall():
            if row[0] not in self.jobs:
                self.note(Job(row[0], row[1], row[2], [Sent(3, "3")], schedule=row[3]))
        assert (
            rows(
                self.conn,
                "select count(*) from sluice.job where schedule is not null and"
                " completed_at is null group by schedule having count(*) > 1",
            )
            == []
        )

    # Workers

    @rule(number=st.integers(0, SESSIONS - 1), pick=PICK, one=st.booleans())
    def step(self, number: int, pick: int, one: bool) -> None:
        job = self.some(pick, *WAITS, kind="import") if one else None
        session = self.sessions[number]
        row = session.execute("select sluice.next_step(%s)", [job and job.job_id]).fetchone()
        assert row
        self.happened[f"step {row[0]['status']} {row[0].get('kind', '')}"] += 1
        assert "error" not in row[0], row
        if row[0]["status"] == "idle" and not one and not self.open:
            assert not [
                j
                for j, seen in self.seen.items()
                if seen["state"] in WAITS and seen["kind"] == "import" and seen["phase"] != "fetch"
            ]

    @rule(number=st.integers(0, SESSIONS - 1), times=st.integers(2, 9))
    def steps_in_a_row(self, number: int, times: int) -> None:
        for _ in range(times):
            self.step(number, 0, False)
            self.look()

    @rule(number=st.integers(0, SESSIONS - 1))
    def step_and_stay_open(self, number: int) -> None:
        if number in self.open:
            return
        session = self.sessions[number]
        session.execute("begin")
        row = session.execute("select sluice.next_step()").fetchone()
        assert row
        if "job_id" in row[0]:
            self.open[number] = row[0]["job_id"]
        else:
            session.execute("commit")

    @rule(number=st.integers(0, SESSIONS - 1), how=st.sampled_from(["commit", "rollback"]))
    def end_transaction(self, number: int, how: str) -> None:
        if self.open.pop(number, None):
            self.sessions[number].execute(how.encode())

    @rule(number=st.integers(0, SESSIONS - 1))
    def crash(self, number: int) -> None:
        """A session is gone with what it was about to do."""
        self.open.pop(number, None)
        pid = self.sessions[number].info.backend_pid
        self.conn.execute("select pg_terminate_backend(%s, 5000)", [pid])
        self.sessions[number].close()
        self.sessions[number] = self.session()

    # What users do to jobs

    def visible(self, job: Job, caller: str | None) -> bool:
        return job.resource in MAY_USE[caller]

    @rule(pick=PICK, caller=CALLERS)
    def cancel(self, pick: int, caller: str | None) -> None:
        job = self.some(pick, *WAITS, *ENDED)
        if not job:
            return
        ended = self.seen[job.job_id]["state"] in ENDED
        state = self.refused("select sluice.cancel_job(%s)", job.job_id, caller=caller)
        if not self.visible(job, caller):
            assert state == "IO404"
        elif ended:
            assert state == "IO409"
        else:
            assert state is None
            job.lease = None
            self.happened["cancelled"] += 1

    @rule(pick=PICK, caller=CALLERS)
    def delete(self, pick: int, caller: str | None) -> None:
        job = self.some(pick, *WAITS, *ENDED)
        if not job:
            return
        state = self.refused("select sluice.delete_job(%s)", job.job_id, caller=caller)
        if not self.visible(job, caller):
            assert state == "IO404"
        elif self.seen[job.job_id]["state"] not in ENDED:
            assert state == "IO409"
        else:
            assert state is None
            self.forget(job.job_id)

    def forget(self, job_id: str) -> None:
        """A job is removed, with the keys that led to it."""
        del self.jobs[job_id]
        self.claims = {k: c for k, c in self.claims.items() if c["job"] != job_id}

    @rule(pick=PICK, mode=st.sampled_from([None, "upsert", "insert"]), key=IDEMPOTENT)
    def retry(self, pick: int, mode: str | None, key: str | None) -> None:
        job = self.some(pick, *WAITS, *ENDED)
        if not job:
            return
        if key and not self.claim(key, None):
            return
        row = self.seen[job.job_id]
        over = {"mode": mode} if mode and job.kind == "import" else {}
        query = "select sluice.retry_job(%s, %s, 'd', %s, %s)"
        found = [job.job_id, Jsonb(over), key, key and SCOPE]
        left = job.kind == "export" or row["keeps_stage"] or row["rejects"] or row["source"]
        if (
            row["state"] not in ENDED
            or not left
            or (row["state"] == "completed" and job.kind == "import" and not row["rejects"])
        ):
            assert self.refused(query, *found) == "IO409"
            if key:
                self.call("select sluice.idempotency_release(%s, %s)", key, SCOPE)
                del self.claims[key, ""]
            return
        new = self.call(query, *found)
        self.happened[f"retried {job.kind} {row['state']}"] += 1
        assert row["state"] in ENDED
        sent = job.sent
        if row["state"] == "completed" and job.kind == "import":
            sent = [s for s, o in zip(job.sent, job.plan or (), strict=True) if o == "rejected"]
        options = {k: v for k, v in {**job.options, **over}.items() if k != "priority"}
        if job.options.get("priority"):
            options["priority"] = job.options["priority"]
        self.note(Job(new["job_id"], job.kind, job.resource, sent, options))
        if key:
            self.claims[key, ""] = {"job": new["job_id"], "digest": "d"}

    @rule(caller=CALLERS, pick=PICK)
    def look_as(self, caller: str | None, pick: int) -> None:
        """A key sees the jobs of its resources, all of them and no others."""
        shown = self.call('select sluice.jobs_json("limit" => 1000)', caller=caller)["jobs"]
        may = {j.job_id for j in self.jobs.values() if self.visible(j, caller)}
        assert {job["job_id"] for job in shown} == may
        job = self.some(pick, *WAITS, *ENDED)
        if job:
            state = self.refused("select sluice.job_json(%s)", job.job_id, caller=caller)
            assert state == (None if self.visible(job, caller) else "IO404")
            for call in ("error_summary", "errors_json"):
                assert self.refused(f"select sluice.{call}(%s)", job.job_id, caller=caller) in (
                    (None, "IO404") if job.kind == "export" else (state,)
                )

    @rule()
    def look_for_nothing(self) -> None:
        for call in ("job_json", "cancel_job", "retry_job", "delete_job"):
            assert self.refused(f"select sluice.{call}(%s)", UNKNOWN) == "IO404"
        self.conn.execute("select sluice.health(), sluice.metrics()")
        self.conn.execute("select * from sluice.jobs")

    # Time

    @rule(seconds=st.sampled_from([2.5, 2.5, 25, 61, 130, 90_000, 3_000_000]))
    @precondition(lambda self: not self.open)
    def time_passes(self, seconds: float) -> None:
        self.clock += seconds
        self.conn.execute(LATER.format(f"interval '{seconds} s'").encode())

    @rule()
    @precondition(lambda self: not self.open)
    def sweep(self) -> None:
        due = {u for u in self.receiving() if self.clock - self.begun_at(u) > 60}
        swept = self.call("select sluice.sweep()")
        assert swept["orphans"] == 0, swept
        self.happened["swept uploads"] += swept["uploads"]
        assert not due & set(self.receiving()), due

    def receiving(self) -> list[str]:
        return rows(self.conn, "select job_id::text from sluice.job where state = 'receiving'")

    def begun_at(self, job_id: str) -> float:
        return float(self.uploads[job_id]["beat"]) if job_id in self.uploads else self.clock

    @rule()
    @precondition(lambda self: not self.open)
    def expire(self) -> None:
        done = self.call("select sluice.expire()")
        kept = set(rows(self.conn, "select job_id::text from sluice.job"))
        gone = [j for j in self.jobs if j not in kept]
        assert len(gone) == done["jobs"]
        for job_id in gone:
            assert self.seen[job_id]["state"] in ENDED
            self.forget(job_id)
        # keys of requests that died more than an hour ago
        self.claims = {
            k: c for k, c in self.claims.items() if c["job"] or self.clock - c["beat"] <= 3600
        }

    # What always holds

    @invariant()
    def look(self) -> None:
        """Take in what has been committed, and hold it against the model."""
        Life.steps += 1
        with self.conn.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(
                "select j.*, j.job_id::text as id, (select count(*) from sluice.reject as r"
                " where r.job_id = j.job_id) as rejects, (select count(*) from sluice.result as r"
                " where r.job_id = j.job_id) as results, case when j.state <> 'receiving' then"
                " sluice.job_json(j.job_id) end as shown, (select jsonb_agg(jsonb_build_array(s.lo,"
                " s.hi) order by s.step_id) from sluice.step as s where s.job_id = j.job_id and"
                " s.kind = 'merge' and s.state = 'done') as merged from sluice.job as j"
                " order by j.completed_at nulls first, j.accepted"
            ).fetchall()
        before, self.seen = self.seen, {row["id"]: row for row in found}
        accepted = {row["id"] for row in found if row["state"] != "receiving"}
        assert accepted == set(self.jobs), "jobs without a model, or the other way round"
        for row in found:
            if row["id"] in self.jobs:
                self.one_row(row)
                self.one_change(before.get(row["id"]), row, before)
                self.take_in(self.jobs[row["id"]], row)
        self.no_table_without_need()
        for name, mine in self.targets.items():
            other = "a_id" if name == "b" else "v"
            assert (
                dict(self.conn.execute(f"select id, {other} from {name}".encode()).fetchall())
                == mine
            )

    def one_row(self, row: dict[str, Any]) -> None:
        """What a job's row must be by itself."""
        ended = row["state"] in ENDED
        assert min(row[name] for name in (*COUNTS, "received", "done", "exported", "bytes")) >= 0
        assert row["done"] <= row["received"] or row["kind"] == "export"
        assert ended == (row["completed_at"] is not None)
        assert (row["phase"] is None) or not ended
        assert (row["outcome"] is not None) == (row["state"] == "completed")
        assert (row["error"] is not None) == (row["state"] == "failed")
        assert (row["expires_at"] is not None) == ended
        assert not (ended and row["worker"])
        if ended:
            assert row["received"] == sum(row[name] for name in COUNTS)
        if row["state"] == "processing" and row["kind"] == "import":
            assert row["phase"] in ("cast", "match", "merge")
        shown = row["shown"]
        assert (shown["status"], shown["job_id"]) == (row["state"], row["id"])
        assert 0 <= shown["progress"]["percent"] <= 100
        assert row["state"] != "failed" or self.jobs[row["id"]].may_fail or self.had_reason(row)

    def had_reason(self, row: dict[str, Any]) -> bool:
        """Whether a job that nobody failed may have failed: all or nothing, or its workers died."""
        reason = row["error"]["title"]
        if reason == "Records were rejected":
            return bool(row["options"].get("atomic")) and row["rejected"] > 0
        return reason in ("It was given up", "The import could not go on") and (
            row["attempts"] >= 5 or row["tries"] >= 10 or "was begun" in row["error"]["detail"]
        )

    def one_change(
        self, old: dict[str, Any] | None, row: dict[str, Any], before: dict[str, dict[str, Any]]
    ) -> None:
        """From where to where a job may go, and in which order."""
        was = old["state"] if old else "receiving"
        if was in ENDED:
            assert old
            for name in (
                *COUNTS,
                "state",
                "outcome",
                "error",
                "received",
                "done",
                "rejects",
                "merged",
            ):
                assert old[name] == row[name], name
            return
        if was == "processing":
            assert row["state"] != "pending" or row["kind"] == "export"
        started = row["state"] == "processing" or (
            row["state"] in ("completed", "failed") and was == "pending"
        )
        if (
            was == "pending"
            and started
            and row["kind"] == "import"
            and old
            and old["phase"] != "fetch"
        ):
            for other in before.values():
                first = other["accepted"] is not None and other["accepted"] < row["accepted"]
                if (
                    first
                    and other["kind"] == "import"
                    and other["state"] in WAITS
                    and other["resource"] in TIED[row["resource"]]
                ):
                    now = self.seen.get(other["id"])
                    passes = (
                        row["priority"] == "interactive"
                        and row["received"] <= 1000
                        and other["state"] == "processing"
                    )
                    assert passes or not now or now["state"] in ENDED, "out of order"

    def take_in(self, job: Job, row: dict[str, Any]) -> None:
        """Carry out in the model what was carried out; compare the counts of what has ended."""
        if job.kind == "export":
            return
        target, parents = self.targets[job.resource], self.targets["a"]
        merged = row["merged"] or []
        ends = row["state"] == "completed" and job.plan is None
        if job.plan is None and (ends or merged):
            job.plan = judge(job, target, parents)
        if job.plan is not None and not job.dry:
            for lo, hi in merged[job.applied :]:
                carry_out(job, target, lo - 1, hi - 1)
            job.applied = len(merged)
        if ends or (row["state"] == "completed" and job.plan is not None):
            counts = Counter(job.plan)
            assert {name: row[name] for name in COUNTS if row[name]} == {
                name: count for name, count in counts.items() if count
            }
            assert row["rejects"] == counts["rejected"]
            assert row["outcome"] == ("partial" if counts["rejected"] else "clean")
            good = len(job.sent) - counts["rejected"]
            wanted = job.options.get("results") and not job.dry
            assert row["results"] == (good if wanted else 0)
        elif row["state"] in ENDED and row["options"].get("atomic"):
            assert (row["inserted"], row["updated"], row["results"]) == (0, 0, 0)

    def no_table_without_need(self) -> None:
        """Each stage has a job that needs it, and each job that needs one has it."""
        tables = rows(
            self.conn, "select tablename::text from pg_tables where schemaname = 'sluice_stage'"
        )
        by_job: dict[str, set[str]] = {}
        for name in tables:
            kind, _, digits = name.partition("_")
            by_job.setdefault(digits, set()).add(kind)
        for row in self.seen.values():
            kinds = by_job.pop(row["id"].replace("-", ""), set())
            if row["state"] in ENDED:
                held = bool(self.open) or not row["swept"]
                assert held or kinds == ({"s"} if row["keeps_stage"] else set()), (row, kinds)
            elif row["kind"] == "import" and row["phase"] != "fetch":
                assert "s" in kinds, row
        assert not by_job or self.open, by_job

    def teardown(self) -> None:
        """Whatever happened, all jobs come to their end, and nothing is left over."""
        for number in range(SESSIONS):
            self.end_transaction(number, "rollback")
        self.look()
        end = time.monotonic() + 30
        waiting = True
        while waiting:
            assert time.monotonic() < end, "some jobs never end"
            self.time_passes(25)
            self.leases = []
            self.take_fetch()
            self.take_export()
            while self.leases:
                self.go_on_with_fetch(0, "finish")
            self.look()
            for number in [*range(SESSIONS), *[0] * 20]:
                self.step(number, 0, False)
                self.look()
            waiting = any(row["state"] in WAITS for row in self.seen.values())
        self.time_passes(90_000)
        self.call("select sluice.sweep()")
        left = rows(self.conn, "select count(*) from sluice.job where state = 'receiving'")
        assert left == [0]
        self.uploads.clear()
        self.look()
        assert rows(
            self.conn,
            "select count(*) from (select job_id from sluice.idempotency where"
            " job_id is not null group by job_id having count(*) > 1) as two",
        ) == [0]


def test_jobs_keep_to_the_model_whatever_happens(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer check (v <> 13)", name="a")
    table(conn, "id integer primary key, a_id integer references a (id)", name="b")
    table(conn, "id integer primary key, v integer check (v <> 13)", name="c")
    conn.execute("select sluice.create_api_key('only_a', resources => '{a}')")
    conn.execute("select sluice.create_api_key('all')")
    conn.execute("set lock_timeout = '500ms'")
    Life.dsn, Life.conn = dsn, conn
    Life.sessions = [Life.session() for _ in range(SESSIONS)]
    Life.keys = dict(conn.execute("select name, key_id::text from sluice.api_key").fetchall())
    try:
        run_state_machine_as_test(
            Life, settings=effort(12, stateful_step_count=40, report_multiple_bugs=False)
        )
    finally:
        for session in Life.sessions:
            session.close()
        print(f"{Life.examples} examples, {Life.steps} steps")
        for what, count in sorted(Life.happened.items()):
            print(f"{count:8} {what}")
