"""One list, two drivers: psql and `pgsluice migrate` give the same database."""

import subprocess
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgsluice.migrate import MigrationError, home, migrate, pending, pending_at, read_install

from .conftest import Databases, Psql

INSTALL = home() / "db" / "install.sql"


def dump(bindir: Path, dsn: str, *schemas: str) -> str:
    """pg_dump's text of the schemas, without the token that newer versions make up."""
    names = schemas or ("sluice", "sluice_stage", "app")
    options = [f"--schema={name}" for name in names]
    done = subprocess.run(
        [bindir / "pg_dump", "-s", *options, "-d", dsn], capture_output=True, text=True, check=True
    )
    kept = (
        li for li in done.stdout.splitlines() if not li.startswith(("\\restrict", "\\unrestrict"))
    )
    return "\n".join(kept)


def ledger(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as conn:
        return conn.execute("select name, applied_at from sluice.ledger order by name").fetchall()


def test_psql_and_the_service_install_the_same(dsn: str, empty_dsn: str, pg_bindir: Path) -> None:
    Psql(pg_bindir / "psql", empty_dsn)(file=INSTALL)
    assert dump(pg_bindir, empty_dsn) == dump(pg_bindir, dsn)


def test_a_second_run_of_either_changes_nothing(dsn: str, psql: Psql, pg_bindir: Path) -> None:
    before, rows = dump(pg_bindir, dsn, "sluice", "app", "procrastinate"), ledger(dsn)
    assert migrate(dsn) == []
    assert psql(file=INSTALL) == ""
    assert migrate(dsn) == []
    assert dump(pg_bindir, dsn, "sluice", "app", "procrastinate") == before
    assert ledger(dsn) == rows


def test_after_psql_the_service_adds_only_the_queue(empty_dsn: str, pg_bindir: Path) -> None:
    Psql(pg_bindir / "psql", empty_dsn)(file=INSTALL)
    missing = pending_at(empty_dsn)
    assert missing
    assert all(name.startswith("procrastinate/") for name in missing)
    assert migrate(empty_dsn) == missing
    assert pending_at(empty_dsn) == []


def test_an_upgrade_from_each_earlier_migration_equals_a_fresh_install(
    databases: Databases, dsn: str, pg_bindir: Path, tmp_path: Path
) -> None:
    fresh = dump(pg_bindir, dsn)
    names = [step.name for step in read_install(INSTALL) if step.name]
    for number, name in enumerate(names[:-1], 1):
        old = databases.create(f"upgrade_{number}", None)
        try:
            with psycopg.connect(old, autocommit=True) as conn:
                _install_until(conn, name)
            migrate(old)
            assert dump(pg_bindir, old) == fresh
        finally:
            databases.drop(f"upgrade_{number}")


def _install_until(conn: psycopg.Connection, last: str) -> None:
    """What a release with fewer migrations left behind, its functions aside."""
    for step in read_install(INSTALL):
        for file in step.files:
            conn.execute(file.read_text().encode())
        if step.name:
            conn.execute("insert into sluice.ledger (name) values (%s)", [step.name])
        if step.name == last:
            return


def test_concurrent_installations_wait_for_each_other(empty_dsn: str) -> None:
    applied: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: applied.append(migrate(empty_dsn))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(applied) == 4
    assert sum(1 for names in applied if names) == 1


def test_a_failing_migration_leaves_nothing_and_frees_the_lock(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "db" / "migrations").mkdir(parents=True)
    (tmp_path / "db" / "ledger.sql").write_text((INSTALL.parent / "ledger.sql").read_text())
    (tmp_path / "db" / "migrations" / "0001_bad.sql").write_text("create table a (); select 1/0;")
    (tmp_path / "db" / "install.sql").write_text(
        "\\ir ledger.sql\n\\set m 0001_bad\n\\ir apply.psql\n"
    )
    monkeypatch.setattr("pgsluice.migrate.home", lambda: tmp_path)
    with pytest.raises(MigrationError, match=r"0001_bad.sql: division by zero"):
        migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        assert "0001_bad" in pending(conn)
        assert conn.execute("select to_regclass('public.a')").fetchone() == (None,)


def test_psql_names_what_it_applies_and_stops_at_an_error(empty_dsn: str, pg_bindir: Path) -> None:
    psql = Psql(pg_bindir / "psql", empty_dsn)
    assert "applied 0001_sluice" in psql(file=INSTALL)
    psql("alter table sluice.ledger rename to ledger_gone; create view sluice.ledger as select 1")
    assert psql.run(file=INSTALL).returncode == 3


def test_a_queue_of_unknown_state_is_left_alone(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("create schema procrastinate")
        conn.execute("create table procrastinate.procrastinate_jobs ()")
    with pytest.raises(MigrationError, match="does not say which of its migrations ran"):
        migrate(empty_dsn)


def test_a_server_that_is_not_there_is_one_clear_line(dsn: str) -> None:
    port = conninfo_to_dict(dsn)["port"]
    with pytest.raises(MigrationError) as caught:
        migrate(f"postgresql://nobody:x@127.0.0.1:{port}/none")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["SQL_ASCII"])
def test_a_database_that_is_not_utf8_is_refused(databases: Databases, encoding: str) -> None:
    databases.conn.execute(
        f"create database latin template template0 encoding '{encoding}' "
        "locale_provider libc locale 'C'"
    )
    try:
        with pytest.raises(MigrationError, match="needs a database in UTF8"):
            migrate(databases.maintenance.replace("dbname=postgres", "dbname=latin"))
    finally:
        databases.drop("latin")
