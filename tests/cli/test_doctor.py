"""`pgsluice doctor`: what is looked at, and what it says when something is wrong."""

import json
from pathlib import Path

import psycopg
import pytest

from ..conftest import Databases, Service
from .conftest import Command


@pytest.fixture
def doctor(command: Command):  # type: ignore[no-untyped-def]
    """Runs the doctor; state and words by what was looked at, and the exit code."""

    def run(*words: str, **environ: str) -> tuple[dict[str, tuple[str, str]], int]:
        done = command("doctor", "--json", *words, **environ)
        assert done.stderr == ""
        found = {
            one["finding"]: (one["state"], f"{one['told']} {one.get('todo') or ''}")
            for one in json.loads(done.stdout)
        }
        return found, done.returncode

    return run


def test_a_sound_service_passes(doctor) -> None:  # type: ignore[no-untyped-def]
    found, code = doctor()
    assert code == 0
    # the tests' server is told to lose everything in a crash, and has few connections
    expected = {name for name in found if name not in ("durability", "connections")}
    assert {name: found[name] for name in expected if found[name][0] != "ok"} == {}
    assert expected >= {
        "database", "schema", "writes", "timeouts", "rights", "resources", "tables", "search path",
        "queue", "old transactions", "publications", "clock", "news", "programs", "parquet",
        "settings", "disk of the store", "store", "service",
    }  # fmt: skip


def test_people_get_lines_with_what_to_do(command: Command) -> None:
    done = command("doctor", SLUICE_IMPORT_DIR="/nowhere", SLUICE_URL="http://127.0.0.1:9")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert "warn  settings: SLUICE_IMPORT_DIR /nowhere is no folder" in lines
    at = lines.index("warn  service: nobody answers at http://127.0.0.1:9")
    assert lines[at + 1] == "      -> start pgsluice serve, or correct SLUICE_URL"


def test_a_database_that_is_not_there_or_not_installed_fails(  # type: ignore[no-untyped-def]
    doctor, empty_dsn: str
) -> None:
    found, code = doctor(DATABASE_URL="postgresql://ann:hush@127.0.0.1:9/shop")
    assert (code, found["database"][0]) == (1, "fail")
    assert "no connection to ann@127.0.0.1:9/shop" in found["database"][1]
    assert "hush" not in str(found)
    found, code = doctor(DATABASE_URL=empty_dsn)
    assert (code, found["schema"][0]) == (1, "fail")
    assert "run pgsluice migrate" in found["schema"][1]


def test_what_is_amiss_in_the_database_is_told(  # type: ignore[no-untyped-def]
    doctor, dsn: str, databases: Databases
) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table public.loose (id int primary key)")
        conn.execute("grant create on schema public to public")
        conn.execute("select sluice.register('loose', 'public.loose', search_path => 'public')")
        conn.execute("create table public.gone (id int primary key)")
        conn.execute("select sluice.register('gone', 'public.gone')")
        conn.execute("drop table public.gone")
        conn.execute("set client_min_messages = error; create publication all_of_it for all tables")
        mine = f"alter role current_user in database {conn.info.dbname}"
        conn.execute(f"{mine} set statement_timeout = '30s'".encode())
        found, code = doctor(DATABASE_URL=dsn)
        conn.execute(f"{mine} reset all".encode())
        conn.execute("drop publication all_of_it")
    assert code == 1
    assert found["resources"] == (
        "fail", "the table is gone of gone register the new table, or select sluice.unregister(…)",
    )  # fmt: skip
    assert found["search path"][0] == found["publications"][0] == found["timeouts"][0] == "warn"
    assert "revoke create on schema public from public" in found["search path"][1]
    assert "statement_timeout is 30s" in found["timeouts"][1]
    assert found["queue"][0] == "warn"
    assert "no worker alive" in found["queue"][1]


def test_a_login_without_rights_is_told_which_role_to_be(  # type: ignore[no-untyped-def]
    doctor, dsn: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("drop role if exists doctor_login; create role doctor_login login")
        conn.execute("grant sluice_reader to doctor_login")
        try:
            host, port = conn.info.host, conn.info.port
            conn.execute("alter role doctor_login password 'x'")
            login = f"postgresql://doctor_login:x@{host}:{port}/{conn.info.dbname}"
            found, code = doctor(DATABASE_URL=login)
            assert (code, found["rights"][0]) == (1, "fail")
            assert "grant sluice_service to doctor_login" in found["rights"][1]
            conn.execute("grant sluice_service to doctor_login")
            found, code = doctor(DATABASE_URL=login)
            assert (code, found["rights"][0]) == (0, "ok")
        finally:
            conn.execute("drop owned by doctor_login; drop role doctor_login")


def test_a_store_that_takes_nothing_fails(  # type: ignore[no-untyped-def]
    doctor, tmp_path: Path, service: Service
) -> None:
    (tmp_path / "file").write_text("no folder")
    found, code = doctor(SLUICE_STORE=str(tmp_path / "file"))
    assert (code, found["store"][0]) == (1, "fail")
    found, _ = doctor(SLUICE_STORE="files", SLUICE_DOWNLOADS="redirect")
    assert (found["store"][0], found["settings"][0]) == ("ok", "warn")
    assert not (tmp_path / "files").exists(), "looking makes nothing"
