"""API keys with a login of their own: code of the target has that login's rights, and no others."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from .importer import Connection, Import, begin, lines, result

PARTNER = "test_partner"

SETUP = """
create role test_partner login password 'secret' in role sluice_login;
create role test_crm nologin;
create schema crm authorization test_crm;
grant usage on schema crm to test_partner;
set role test_crm;
create table crm.town (id integer primary key);
insert into crm.town values (1), (2);
create table crm.note (
    id integer primary key, tenant text not null default 'a', body text unique,
    town integer references crm.town, seen text
);
insert into crm.note values (1, 'a', 'ours'), (2, 'b', 'theirs'), (3, 'a', 'ours too');
grant select, insert, update, delete on crm.note to test_partner;
reset role;
"""
# Each is tried by code of the target, in the middle of a step; what does not fail has leaked.
ATTACKS = [
    "set session authorization postgres",
    "set role postgres",
    "set role sluice_service",
    "set role sluice_owner",
    "select hash from sluice.api_key",
    "select job_id from sluice.job",
    "select errors from sluice.reject",
    "select secret from sluice.webhook_secret",
    "update sluice.step set state = 'done'",
    "delete from sluice.api_key",
    "select sluice.create_api_key('evil')",
    "select sluice.next_step()",
    "select sluice.fail_job('{other}', 'x', 'x')",
    "select sluice.cancel_job('{other}')",
    "select sluice.fence_close(1)",
    "select sluice.tell_logins()",
    "select sluice.admit('00')",
    "select line from sluice_stage.s_{stage}",
    "insert into sluice_stage.o_{stage} values (1, '{{}}')",
    "drop table sluice_stage.s_{stage}",
    "create table sluice_stage.evil ()",
    "create function sluice.evil() returns integer language sql return 1",
    "select sluice.fence_work('{{}}', '{{\"step_id\": 1}}', session_user, '1')",
    "copy crm.note to program 'id'",
]
HOSTILE = """
create function crm.hostile() returns trigger language plpgsql as $hostile$
declare
    v_attack text;
begin
    execute 'reset role';
    if current_user <> 'test_partner' or session_user <> 'test_partner' then
        raise exception 'leaked: %%, %%', current_user, session_user using errcode = 'XX001';
    end if;
    foreach v_attack in array %s::text[] loop
        begin
            execute v_attack;
        exception when others then
            continue;
        end;
        raise exception 'leaked by %%', v_attack using errcode = 'XX001';
    end loop;
    new.seen := 'harmless';
    return new;
end;
$hostile$
"""


class Fence(NamedTuple):
    """A database with a login, and the session of a service that carries out its key's jobs."""

    conn: Connection
    api: Connection
    service: Connection
    partner: str

    def key(self, fence: str = "login") -> None:
        """Make a key with the login, for which the API's session acts from here on."""
        make = f"select sluice.create_api_key('of the partner', {fence} => %s)"
        self.conn.execute(make.encode(), [PARTNER])
        self.api.execute("select set_config('sluice.key', key_id::text, false) from sluice.api_key")

    def submit(self, data: str, resource: str = "notes", form: str = "csv", **options: Any) -> str:
        """An accepted import for the key; its id."""
        job_id = begin(self.api, resource, data, form, **options)
        self.api.execute("select sluice.accept_copied(%s)", [job_id])
        return job_id

    def work(self, work: Any) -> None:
        """What the session of the login does with a fenced step."""
        with psycopg.connect(self.partner) as own:
            own.execute(
                "select sluice.fence_work(%s, %s, %s, %s)",
                [Jsonb(work["job"]), Jsonb(work["step"]), work["login"], work["fence"]],
            )

    def next(self, close: bool = True) -> Any:
        """One piece of work, as a worker does it; unless it shall `close`, it dies before that."""
        reply = step(self.service)
        while reply["status"] == "claimed":
            if "login" not in reply:
                reply = step(self.service)
                continue
            self.service.execute("begin")
            reply = step(self.service)
            assert reply["status"] == "fenced"
            fault = None
            try:
                self.work(reply)
            except psycopg.Error as exc:
                fault = Jsonb({"sqlstate": exc.sqlstate, "message": exc.diag.message_primary})
            if not close:
                self.service.execute("rollback")
                return reply
            row = self.service.execute(
                "select sluice.fence_close(%s, %s)", [reply["step"]["step_id"], fault]
            ).fetchone()
            assert row
            reply = row[0]
            self.service.execute("commit")
        return reply

    def run(self, data: str, resource: str = "notes", form: str = "csv", **options: Any) -> Import:
        """An import for the key, carried out."""
        job_id = self.submit(data, resource, form, **options)
        self.go_on()
        return result(self.conn, job_id)

    def go_on(self) -> None:
        """Work until nothing is left."""
        while (reply := self.next())["status"] != "idle":
            time.sleep(reply.get("seconds", 0))

    def die_in_the_merge(self) -> None:
        """Work until the login has merged, and nobody has noted it."""
        while self.next(close=False).get("step", {}).get("kind") != "merge":
            self.forget()
        self.forget()

    def forget(self) -> None:
        """Claims of the dead pass to others at once."""
        self.conn.execute("update sluice.step set claimed_at = null, not_before = null")

    def rows(self, query: str) -> Any:
        return self.conn.execute(query.encode()).fetchall()


def step(service: Connection) -> Any:
    row = service.execute("select sluice.next_step()").fetchone()
    assert row
    return row[0]


@pytest.fixture
def fence(conn: Connection, dsn: str) -> Iterator[Fence]:
    """Notes of another owner, a login that may write them, a service that is no superuser."""
    roles = ("test_partner", "test_worker", "test_crm")
    for role in roles:
        conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
    conn.execute(SETUP)
    conn.execute("create role test_worker login password 'secret' in role sluice_service")
    conn.execute("grant test_partner to test_worker")
    conn.execute("select sluice.register('notes', 'crm.note', trust_owner => true)")
    worker = make_conninfo(dsn, user="test_worker", password="secret")
    with (
        psycopg.connect(worker, autocommit=True) as api,
        psycopg.connect(worker, autocommit=True) as service,
    ):
        service.execute("select set_config('sluice.logins', 'test_partner', false)")
        yield Fence(conn, api, service, make_conninfo(dsn, user=PARTNER, password="secret"))
    conn.execute("drop owned by test_crm, test_partner, test_worker cascade")
    for role in roles:
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def be_hostile(fence: Fence) -> None:
    """Give notes a trigger that tries all it can; another key's import waits with its stage."""
    conn = fence.conn
    other = begin(fence.api, "users", '{"email": "secret@example.org"}\n', "ndjson")
    attacks = [a.format(other=other, stage=other.replace("-", "")) for a in ATTACKS]
    conn.execute("set role test_crm")
    conn.execute(sql.SQL(HOSTILE.replace("%s", "{}").replace("%%", "%")).format(attacks))
    conn.execute(
        "create trigger hostile before insert on crm.note"
        " for each row execute function crm.hostile()"
    )
    conn.execute("reset role")


@pytest.mark.parametrize("options", [{}, {"dry_run": "write"}, {"atomic": True}])
def test_code_of_the_target_reaches_nothing_of_the_service(
    fence: Fence, options: dict[str, Any]
) -> None:
    be_hostile(fence)
    fence.key()
    done = fence.run("id,body\n10,x\n11,y\n", **options)
    assert done.job["state"] == "completed", done.job["error"]
    assert done.errors == []
    assert done.job["inserted"] == 2
    kept = 0 if "dry_run" in options else 2
    assert fence.rows("select count(*) from crm.note where seen = 'harmless'") == [(kept,)]
    assert fence.rows("select count(*) from sluice.api_key") == [(1,)]


def test_a_role_is_no_such_fence(fence: Fence) -> None:
    """Which shows that the attacks are some."""
    be_hostile(fence)
    fence.key("role")
    done = fence.run("id,body\n10,x\n")
    assert "leaked: test_worker, test_worker" in str(done.job["error"])


def test_checks_and_domains_of_the_target_run_as_the_login_too(fence: Fence) -> None:
    fence.conn.execute(
        """
        set role test_crm;
        create function crm.fits(text) returns boolean language sql as 'select true';
        create domain crm.word as text check (crm.fits(value));
        alter table crm.note add check (crm.fits(body)), alter seen type crm.word,
            alter tenant set default case when crm.fits('x') then 'a' end;
        create or replace function crm.fits(text) returns boolean language plpgsql as $$ begin
            if session_user <> 'test_partner' or current_user <> 'test_partner' then
                raise exception 'leaked: %, %', current_user, session_user using errcode = 'XX001';
            end if;
            return $1 <> 'bad';
        end $$;
        reset role;
        """
    )
    fence.key()
    done = fence.run("id,body,seen\n10,x,y\n11,bad,y\n12,z,bad\n", defaults={"tenant": "a"})
    assert done.job["state"] == "completed", done.job["error"]
    assert [(e.row, e.code) for e in done.verdicts] == [(2, "check"), (3, "check")]
    assert done.counts == (1, 0, 0, 2)


def test_row_level_security_binds_and_tells_nothing(fence: Fence) -> None:
    fence.conn.execute(
        "alter table crm.note enable row level security;"
        "create policy own on crm.note to test_partner using (tenant = 'a')"
    )
    fence.key()
    done = fence.run(
        "id,tenant,body\n1,a,ours\n3,a,changed\n4,a,new\n2,b,mine\n5,a,theirs\n6,b,x\n"
    )
    assert done.counts == (1, 1, 1, 3)
    for error in done.errors:
        assert (error["code"], error["constraint"], error["value"]) == ("write", None, None)
        assert "theirs" not in str(error)
    assert fence.rows("select id, body from crm.note order by id") == [
        (1, "ours"), (2, "theirs"), (3, "changed"), (4, "new"),
    ]  # fmt: skip


def test_column_grants_bind(fence: Fence) -> None:
    fence.conn.execute(
        "revoke all on crm.note from test_partner;"
        "grant select (id, body), update (body) on crm.note to test_partner"
    )
    fence.key()
    assert fence.run("id,body\n1,x\n", mode="update").counts == (0, 1, 0, 0)
    with pytest.raises(psycopg.Error, match="may not insert") as refused:
        fence.submit("id,body\n9,x\n")
    assert refused.value.sqlstate == "IO403"
    # what is only read is told by Postgres, once and not for each record
    fence.conn.execute("revoke select on crm.note from test_partner")
    fence.conn.execute("grant select (id) on crm.note to test_partner")
    done = fence.run("id,body\n1,y\n3,y\n", mode="update")
    assert done.job["state"] == "failed"
    assert "permission denied for table note" in done.job["error"]["detail"]


def test_guilty_records_are_found_one_by_one(fence: Fence) -> None:
    fence.key()
    rows = "".join(f"{n},body {n},{n % 7 + 1}\n" for n in range(10, 80))
    done = fence.run(f"id,body,town\n{rows}")
    # the login may not read towns: the foreign key itself asks, at the write
    guilty = [n - 9 for n in range(10, 80) if n % 7 + 1 > 2]
    assert [(e.row, e.code) for e in done.verdicts] == [(n, "write") for n in guilty]
    assert done.job["inserted"] == 70 - len(guilty)
    fence.conn.execute("grant select on crm.town to test_partner")
    assert {e.code for e in fence.run("id,town\n90,9\n").verdicts} == {"reference"}


def test_a_large_step_is_split_and_a_tree_is_written_parents_first(fence: Fence) -> None:
    fence.conn.execute("alter table crm.note add parent integer references crm.note")
    fence.key()
    done = fence.run("id,parent\n12,11\n11,10\n10,\n13,99\n", results=True)
    assert done.counts == (3, 0, 0, 1)
    assert [(e.row, e.code) for e in done.verdicts] == [(4, "reference")]
    assert fence.rows("select count(*) from sluice.result") == [(3,)]
    fence.conn.execute("alter table crm.note drop parent, add check (body <> 'body 700') not valid")
    fence.conn.execute("alter table crm.note disable trigger user")
    rows = "".join(f"{n},body {n},{3 if n == 999 else 1}\n" for n in range(100, 1700))
    done = fence.run(f"id,body,town\n{rows}")
    assert done.counts == (1598, 0, 0, 2)


def test_every_kind_of_column_and_lists_of_children_are_written(fence: Fence) -> None:
    fence.conn.execute(
        """
        grant usage on schema app to test_partner;
        grant execute on all functions in schema app to test_partner;
        grant usage, select, update on all sequences in schema app to test_partner;
        grant select, insert, update, delete on app.users, app.addresses to test_partner;
        create table public.kinds (
            id integer primary key, n numeric(8, 2), d date, ts timestamptz, t text[], j jsonb,
            b boolean, v interval, p int4range, x bytea, u uuid
        );
        grant all on public.kinds to test_partner;
        select sluice.register('kinds', 'public.kinds');
        """
    )
    fence.key()
    user = {"email": "ann@example.org", "name": "Ann", "role": "reader"}
    address = {"street": "Way 1", "city": "Rome", "country": "IT"}
    data = lines({**user, "addresses": [address]}, {**user, "Email": "b", "addresses": [{}]})
    done = fence.run(data, "users", "ndjson", unknown_fields="ignore", results=True)
    assert (done.job["state"], done.counts) == ("completed", (1, 0, 0, 1)), done.job["error"]
    assert fence.run(data, "users", "ndjson", on_duplicate="last").job["unchanged"] == 1
    kinds = {
        "id": 1, "n": 1.5, "d": "2024-02-29", "ts": "2024-01-01T00:00:00Z", "t": ["a", None],
        "j": {"k": [1]}, "b": True, "v": "1 day", "p": "[1,3)", "x": "\\x00",
        "u": "00000000-0000-4000-8000-000000000001",
    }  # fmt: skip
    assert fence.run(lines(kinds, kinds | {"id": "x"}), "kinds", "ndjson").counts == (1, 0, 0, 1)
    table = 'id,n,d,t,j,b\n2,"1,5",29.02.2024,"{a,b}",{},yes\n3,x,y,z,[,no\n'
    done = fence.run(table, "kinds", decimal=",", date_order="dmy")
    assert done.counts == (1, 0, 0, 1)


def test_dry_runs_show_and_write_nothing(fence: Fence) -> None:
    fence.key()
    for dry in (True, "write"):
        done = fence.run("id,body\n1,changed\n20,new\n", dry_run=dry)
        assert done.counts == (1, 1, 0, 0)
        assert [s["after"]["body"] for s in done.job["sample"]] == ["changed"]
    assert fence.rows("select count(*) from crm.note where body = 'changed' or id = 20") == [(0,)]


def test_an_atomic_import_with_a_guilty_record_leaves_nothing(fence: Fence) -> None:
    fence.key()
    done = fence.run("id,body,town\n20,x,1\n21,y,9\n", atomic=True)
    assert done.job["state"] == "failed"
    assert "nothing was written" in done.job["error"]["detail"]
    assert fence.rows("select count(*) from crm.note") == [(3,)]


@pytest.mark.parametrize("atomic", [False, True])
def test_what_a_dead_worker_has_written_is_counted_once(fence: Fence, atomic: bool) -> None:
    fence.key()
    job_id = fence.submit("id,body\n20,x\n21,y\n", atomic=atomic)
    fence.die_in_the_merge()
    assert fence.rows("select count(*) from crm.note") == [(5,)], "it was written, but not noted"
    fence.go_on()
    done = result(fence.conn, job_id)
    assert (done.job["state"], done.counts) == ("completed", (2, 0, 0, 0))
    assert fence.rows("select sum(tries) from sluice.step where kind = 'merge'") == [(1,)]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_cancelled_job_knows_what_a_dead_worker_has_written(fence: Fence, atomic: bool) -> None:
    fence.key()
    job_id = fence.submit("id,body\n20,x\n21,y\n", atomic=atomic)
    fence.die_in_the_merge()
    cancel = "select sluice.cancel_job(%s)"
    if atomic:
        with pytest.raises(psycopg.Error, match="already completed"):
            fence.conn.execute(cancel, [job_id])
        # the refusal takes the note back; the next worker makes it
        fence.go_on()
    else:
        fence.conn.execute(cancel, [job_id])
    done = result(fence.conn, job_id)
    assert done.job["state"] == ("completed" if atomic else "cancelled")
    assert (done.job["inserted"], done.job["unprocessed"]) == (2, 0)


def test_a_worker_without_the_login_leaves_its_jobs_alone(fence: Fence) -> None:
    fence.key()
    fence.service.execute("select set_config('sluice.logins', '', false)")
    job_id = fence.submit("id,body\n20,x\n")
    assert fence.next()["status"] == "busy"
    fence.service.execute("select sluice.tell_logins()")
    health = "select sluice.health() #>> '{workers,missing_logins,0}'"
    assert fence.rows(health) == [(PARTNER,)]
    assert result(fence.conn, job_id).job["state"] == "pending"
    fence.conn.execute("update sluice.login set missed_at = missed_at - interval '6 minutes'")
    fence.service.execute("select sluice.tell_logins()")
    done = result(fence.conn, job_id)
    assert done.job["state"] == "failed"
    assert "SLUICE_LOGINS" in done.job["error"]["detail"]
    # other keys' jobs it carries out
    fence.api.execute("select sluice.create_api_key('without a login')")
    without = "select set_config('sluice.key', key_id::text, false) from sluice.api_key"
    fence.api.execute(f"{without} where login is null".encode())
    plain = fence.submit('{"email": "c@example.org", "name": "C"}\n', "users", "ndjson")
    fence.go_on()
    assert result(fence.conn, plain).job["state"] == "completed"
    # with it the job is retried, and is the key's still
    fence.service.execute("select set_config('sluice.logins', 'test_partner', false)")
    fence.service.execute("select sluice.tell_logins()")
    again = fence.rows(f"select sluice.retry_job('{job_id}') ->> 'job_id'")[0][0]
    fence.go_on()
    assert result(fence.conn, again).counts == (1, 0, 0, 0)
    keys = "select count(distinct key_id), count(key_id) from sluice.job where resource = 'notes'"
    assert fence.rows(keys) == [(1, 2)]


def test_a_session_of_the_wrong_login_or_database_is_refused(
    fence: Fence, dsn: str, databases: Any
) -> None:
    other = databases.create("test_logins_other", databases.template)
    fence.conn.execute("select pg_advisory_lock(77)")
    check = "select sluice.check_fence(%s, '77')"
    for where, login in ((fence.partner, "test_worker"), (dsn, PARTNER)):
        with psycopg.connect(where) as own, pytest.raises(psycopg.Error, match="log in as"):
            own.execute(check, [login])
    elsewhere = make_conninfo(other, user=PARTNER, password="secret")
    with psycopg.connect(elsewhere) as own, pytest.raises(psycopg.Error, match="another database"):
        own.execute(check, [PARTNER])
    with psycopg.connect(fence.partner) as own:
        own.execute(check, [PARTNER])
    databases.drop("test_logins_other")


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        ("alter role test_partner nologin", "there is no login"),
        ("revoke sluice_login from test_partner", "grant sluice_login"),
        ("alter role test_partner bypassrls", "no fence"),
        ("grant sluice_reader to test_partner", "no fence"),
        ("grant pg_read_all_data to test_partner", "no fence"),
        ("grant sluice_service to test_partner", "no fence"),
        ("grant pg_execute_server_program to test_partner", "no fence"),
    ],
)
def test_a_login_that_would_be_no_fence_gets_no_key(fence: Fence, prepare: str, why: str) -> None:
    fence.conn.execute(prepare.encode())
    with pytest.raises(psycopg.Error, match=why) as refused:
        fence.key()
    said = refused.value
    assert said.sqlstate == "IO400"


def test_a_key_has_a_role_or_a_login(fence: Fence) -> None:
    with pytest.raises(psycopg.Error, match="not both"):
        fence.conn.execute(
            "select sluice.create_api_key('x', role => 'test_crm', login => 'test_partner')"
        )
    fence.conn.execute("revoke test_partner from test_worker")
    with pytest.raises(psycopg.Error, match="could not cancel"):
        fence.service.execute("select sluice.create_api_key('x', login => 'test_partner')")


@pytest.mark.parametrize(
    "told",
    [
        {"inserted": 5, "updated": 0, "rejects": []},
        {"inserted": -1, "updated": 3, "rejects": []},
        {"inserted": 1, "updated": 0, "rejects": [{"n": 77, "error": {}}]},
        {"inserted": "many", "updated": [], "rejects": 1},
    ],
)
def test_a_lie_about_the_counts_is_not_believed(fence: Fence, told: dict[str, Any]) -> None:
    fence.key()
    job_id = fence.submit("id,body\n20,x\n21,y\n")
    fence.die_in_the_merge()
    name = f"sluice_stage.o_{job_id.replace('-', '')}"
    with psycopg.connect(fence.partner) as own:
        own.execute(
            f"update {name} set result = result || %s where result ? 'inserted'".encode(),
            [Jsonb(told)],
        )
    fence.go_on()
    done = result(fence.conn, job_id)
    assert done.job["state"] == "failed"
    assert sum(done.job[n] for n in ("inserted", "updated", "unprocessed")) == 2


def test_a_merge_goes_through_the_gate_as_that_of_any_other_import(fence: Fence) -> None:
    fence.key()
    job_id = fence.submit("id,body\n20,x\n21,y\n")
    while fence.rows("select phase from sluice.job") != [("merge",)]:
        fence.next()
    with fence.conn.transaction():
        # a small import has met a step of this one in its way
        fence.conn.execute("select sluice.close_gate('notes')")
        assert step(fence.service)["status"] == "claimed"
        with fence.service.transaction():
            reply = step(fence.service)
        assert (reply["status"], reply["kind"]) == ("done", "merge"), reply
        assert "another session holds" in reply["error"]
        assert fence.rows("select attempts from sluice.step where kind = 'merge'") == [(1,)]
    fence.go_on()
    assert result(fence.conn, job_id).counts == (2, 0, 0, 0)
