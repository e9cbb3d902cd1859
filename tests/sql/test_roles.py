"""Logins that are members of the four roles: what each may do, and what it may not."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

Login = Callable[[str], psycopg.Connection]
ROLES = ("sluice_owner", "sluice_service", "sluice_operator", "sluice_reader", "sluice_login")


@pytest.fixture
def login(conn: psycopg.Connection, dsn: str) -> Iterator[Login]:
    """Connects as a login whose only right is to be a member of a role."""
    opened: dict[str, psycopg.Connection] = {}

    def connect(role: str) -> psycopg.Connection:
        name = f"test_login_{role}"
        conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))
        conn.execute(
            sql.SQL("create role {} login password 'secret' in role {}").format(
                sql.Identifier(name), sql.Identifier(role)
            )
        )
        opened[name] = psycopg.connect(
            make_conninfo(dsn, user=name, password="secret"), autocommit=True
        )
        return opened[name]

    yield connect
    for name, connection in opened.items():
        connection.close()
        conn.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def begin(conn: psycopg.Connection, *users: str, resource: str = "users") -> str:
    """An import whose stage holds these users; its id."""
    row = conn.execute(
        "select job_id, copy_command from sluice.import_begin(%s, 'csv',"
        " header => '{email,name,role}')",
        [resource],
    ).fetchone()
    assert row
    command = f"copy {row[1].split()[1]} (email, name, role) from stdin with (format csv)"
    with conn.cursor() as cursor, cursor.copy(command.encode()) as copy:
        for user in users:
            copy.write(f"{user}@example.org,{user},reader\n")
    return str(row[0])


def one(conn: psycopg.Connection, query: str, *values: Any) -> Any:
    """The single value of a query."""
    row = conn.execute(query.encode(), values).fetchone()
    assert row
    return row[0]


@pytest.mark.parametrize("role", ["sluice_service", "sluice_operator"])
def test_who_imports_may_import_and_export(login: Login, role: str) -> None:
    worker = login(role)
    job = begin(worker, "ann", "bob")
    worker.execute("call sluice.import_run(%s)", [job])
    assert one(worker, "select inserted from sluice.jobs where job_id = %s", job) == 2
    assert one(worker, "select count(*) from app.users") == 2
    assert "app.users" in one(worker, "select sluice.export_sql('users')")
    left = "select count(*) from pg_class where relnamespace = 'sluice_stage'::regnamespace"
    assert one(worker, left) == 0


def test_the_service_carries_out_what_an_operator_began(login: Login) -> None:
    operator, service = login("sluice_operator"), login("sluice_service")
    job = begin(operator, "ann")
    operator.execute("select sluice.import_submit(%s)", [job])
    while one(service, "select sluice.next_step() ->> 'status'") in ("done", "claimed"):
        pass
    assert one(service, "select state from sluice.jobs where job_id = %s", job) == "completed"
    left = "select count(*) from pg_class where relnamespace = 'sluice_stage'::regnamespace"
    assert one(service, left) == 0


@pytest.mark.parametrize("role", ["sluice_service", "sluice_operator", "sluice_reader"])
@pytest.mark.parametrize(
    "statement",
    [
        "drop table sluice.job",
        "drop function sluice.health()",
        "create table sluice.mine ()",
        "create or replace function sluice.release() returns text return '9'",
        "insert into sluice.ledger (name) values ('x')",
        "alter table app.users drop constraint users_email_valid",
    ],
)
def test_only_the_owner_changes_what_is_installed(login: Login, role: str, statement: str) -> None:
    connection = login(role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_owner_installs_again(login: Login, dsn: str) -> None:
    from pgsluice.migrate import migrate

    owner = login("sluice_owner")
    assert migrate(make_conninfo(dsn, user=owner.info.user, password="secret")) == []


def test_a_reader_sees_jobs_and_changes_nothing(conn: psycopg.Connection, login: Login) -> None:
    job = begin(conn, "ann")
    reader = login("sluice_reader")
    assert one(reader, "select state from sluice.jobs where job_id = %s", job) == "receiving"
    assert one(reader, "select sluice.health() ->> 'status'") == "ok"
    assert one(reader, "select sluice.jobs_json() -> 'jobs'") == []
    for statement in (
        "select 1 from sluice.reject",
        "select 1 from sluice.api_key",
        "select 1 from sluice.webhook_secret",
        "select 1 from app.users",
        "select sluice.create_api_key('mine')",
        f"select sluice.receive_abort('{job}')",
        "select sluice.register('users', 'app.users')",
        f"select * from sluice_stage.s_{job.replace('-', '')}",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement.encode())


def test_anybody_else_sees_nothing(conn: psycopg.Connection, login: Login) -> None:
    conn.execute("drop role if exists test_nobody")
    conn.execute("create role test_nobody nologin")
    stranger = login("test_nobody")
    for statement in (
        "select sluice.health()",
        "select 1 from sluice.jobs",
        "select 1 from app.users",
        "select app.is_email_v1('a@b.c')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(statement.encode())
    conn.execute("drop role test_nobody")


@pytest.mark.parametrize("role", ROLES)
def test_the_roles_cannot_log_in_themselves(conn: psycopg.Connection, role: str) -> None:
    assert one(conn, "select rolcanlogin from pg_roles where rolname = %s", role) is False
