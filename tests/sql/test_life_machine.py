"""Any order of all that can happen to jobs, against a model of what must come of it."""

import time
from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from psycopg.rows import dict_row

from ..effort import effort
from .importer import Connection, rows, table
from .life_leases import Leases
from .life_model import ENDED, Job, carry_out, judge
from .life_uploads import Uploads
from .life_users import Users
from .life_words import COUNTS, LATER, PICK, SESSIONS, TIED, WAITS


class Life(Uploads, Leases, Users):
    """Uploads, fetches, exports, schedules, workers, their deaths, and the time that passes."""

    # Workers

    @rule(number=st.integers(0, SESSIONS - 1), pick=PICK, one=st.booleans())
    def step(self, number: int, pick: int, one: bool) -> None:
        job = self.some(pick, *WAITS, kind="import") if one else None
        session = self.sessions[number]
        row = session.execute("select sluice.next_step(%s)", [job and job.job_id]).fetchone()
        assert row
        ahead = " ahead" if row[0].get("job_id") in self.uploads else ""
        self.happened[f"step {row[0]['status']} {row[0].get('kind', '')}{ahead}"] += 1
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
