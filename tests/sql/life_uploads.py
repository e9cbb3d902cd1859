"""Files that are sent: by HTTP, segment by segment, and by psql."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from psycopg.types.json import Jsonb

from .life_model import LARGE, Job, Sent
from .life_words import CALLERS, IDEMPOTENT, MAY_USE, OPTIONS, PICK, RESOURCES, SCOPE, SMALL, Words


class Uploads(Words):
    """What whoever sends files does, under idempotency keys too."""

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
        said=st.sampled_from([None, {}, {"mode": "insert"}]),
        waits=st.booleans(),
    )
    def upload_much(
        self,
        resource: str,
        options: dict[str, Any],
        bad: int,
        part: int,
        said: dict[str, Any] | None,
        waits: bool,
    ) -> None:
        """A file of which a part may be cast before it is accepted, by what is said of it."""
        sent = [Sent(5000 + part * 500 + i, "13" if i < bad else str(i % 7)) for i in range(LARGE)]
        upload = self.receive(resource, options, sent, None, None)
        if said is not None:
            ahead = "select sluice.receive_ahead(%s, %s, %s)"
            self.call(ahead, upload, resource, Jsonb(options | said))
        if not waits:
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
