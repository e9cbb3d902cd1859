"""Work outside of Postgres: fetches and exports under their leases, and schedules."""

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from psycopg.types.json import Jsonb

from .importer import rows
from .life_model import Job, Sent
from .life_words import (
    CALLERS,
    MAY_USE,
    OPTIONS,
    PICK,
    RESOURCES,
    SMALL,
    Words,
)


class Leases(Words):
    """What those do who fetch and export, and the clock."""

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
