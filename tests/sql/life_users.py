"""What users do to jobs that are there."""

from hypothesis import strategies as st
from hypothesis.stateful import rule
from psycopg.types.json import Jsonb

from .life_model import ENDED, Job
from .life_words import CALLERS, IDEMPOTENT, MAY_USE, PICK, SCOPE, UNKNOWN, WAITS, Words


class Users(Words):
    """Cancel, delete, retry and look, under any key."""

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
            assert state is None, state
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
