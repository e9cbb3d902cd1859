"""`pgsluice jobs`, `errors`, `rejects`, `cancel`, `retry`, `export`, `resource`."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from .conftest import MIXED, Command, in_a_line


@pytest.fixture(scope="module")
def _mixed(service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:  # type: ignore[no-untyped-def]
    """One import that is partial."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "mixed.csv").write_text(MIXED)
    done = Command(folder, SLUICE_URL=service.url)("import", "users", "mixed.csv", "--follow")
    assert done.returncode == 3
    yield
    with psycopg.connect(service.dsn, autocommit=True) as conn:
        conn.execute("truncate app.users cascade")


pytestmark = pytest.mark.usefixtures("_mixed")


def test_jobs_are_listed_and_shown(command: Command) -> None:
    heads, first = command("jobs", "--kind", "import").stdout.splitlines()[:2]
    assert heads.split() == [
        "JOB", "STATUS", "RESOURCE", "KIND", "RECORDS", "REJECTED", "CREATED",
    ]  # fmt: skip
    assert first.split()[1:6] == ["partial", "users", "import", "3", "2"]
    assert command("jobs", "list", "--status", "failed").stdout == "there are no such jobs\n"
    shown = command("jobs", "show", first.split()[0])
    assert (shown.returncode, "2 rejected" in shown.stdout) == (3, True)
    page = json.loads(command("jobs", "--json", "--limit", "1").stdout)
    assert page["jobs"][0]["status"] == "completed"
    assert "does not exist" in in_a_line(
        command("jobs", "show", "0" * 8 + "-0000" * 3 + "-" + "0" * 12)
    )


def test_errors_are_shown_counted_and_written(command: Command) -> None:
    table = command("errors", "last", "--code", "check").stdout
    assert table.splitlines()[0].split() == ["ROW", "FIELD", "CODE", "VALUE", "WHAT"]
    assert "must be one of admin, manager, author, editor, reader" in table
    counted = command("errors", "last", "--summary").stdout
    assert counted.splitlines()[0].split()[:3] == ["FIELD", "CODE", "RECORDS"]
    written = command("errors", "last", "--format", "csv", "--field", "email").stdout
    assert [row["value"] for row in csv.DictReader(io.StringIO(written))] == ["nobody"]
    rejects = command("rejects", "last").stdout
    assert [row["email"] for row in csv.DictReader(io.StringIO(rejects))] == [
        "nobody", "fay@example.org",
    ]  # fmt: skip
    told = command("rejects", "last", "-o", "bad.csv").stdout
    assert told == f"bad.csv: {len(rejects.encode()):,} bytes\n"
    told = json.loads(command("errors", "last", "-o", "e.csv", "--json").stdout)
    assert told == {"file": "e.csv", "bytes": (command.folder / "e.csv").stat().st_size}


def test_an_ended_job_is_not_cancelled_but_retried(command: Command) -> None:
    assert "completed" in in_a_line(command("cancel", "last"))
    done = command("retry", "last", "--follow", "--json")
    job = json.loads(done.stdout)
    assert (done.returncode, job["counts"]["rejected"]) == (3, 2)
    assert job["parent_job_id"]


def test_a_waiting_job_is_cancelled(
    command: Command,
    service,
    file: Callable[..., Path],  # type: ignore[no-untyped-def]
) -> None:
    with psycopg.connect(service.dsn) as conn:
        # nobody can write to users before this ends
        conn.execute("lock table app.users in share row exclusive mode")
        job = json.loads(command("import", "users", file(), "--json").stdout)["job_id"]
        done = command("cancel", job)
    assert (done.returncode, done.stdout) == (0, f"import {job} is cancelled\n")
    assert command("jobs", "show", job).returncode == 1


def test_exports_take_fields_filters_and_order(command: Command, tmp_path: Path) -> None:
    words = ("export", "users", "--fields", "email,role", "--format", "csv", "--order", "email")
    assert command(*words).stdout == "email,role\ncem@example.org,reader\n"
    none = command(*words, "--filter", "role[in]=admin,author", "active=true")
    assert (none.returncode, none.stdout) == (0, "email,role\n")
    done = command(*words[:4], "-o", "users.csv.gz")
    assert done.stdout.startswith("users.csv.gz: ")
    packed = (tmp_path / "users.csv.gz").read_bytes()
    assert gzip.decompress(packed) == b"email,role\ncem@example.org,reader\n"
    told = json.loads(command(*words, "-o", "users.csv", "--json").stdout)
    assert told == {"file": "users.csv", "bytes": 34}
    assert "unknown field 'shoe'" in in_a_line(command("export", "users", "--filter", "shoe=1"))
    assert "field=value" in in_a_line(command("export", "users", "--filter", "shoe"), 2)


def test_resources_are_listed_described_and_registered(command: Command, service) -> None:  # type: ignore[no-untyped-def]
    rows = command("resource", "list").stdout.splitlines()
    assert [row.split()[:2] for row in rows[:2]] == [
        ["NAME", "TABLE"], ["addresses", "app.addresses"],
    ]  # fmt: skip
    told = command("resource", "describe", "articles").stdout
    assert "body (or content)" in told
    assert "must have 10 to 50,000 words" in told
    with psycopg.connect(service.dsn, autocommit=True) as conn:
        conn.execute("create table public.tools (id int primary key, label text not null)")
    words = ("resource", "register", "tools", "public.tools", "--alias", "name=label")
    done = command(*words)
    assert done.stdout == "tools is registered: 2 fields, 0 rules\n"
    assert json.loads(command("resource", "describe", "tools", "--json").stdout)["key"] == ["id"]
    gone = in_a_line(command("resource", "register", "t", "public.gone"))
    assert 'relation "public.gone" does not exist' in gone
    assert "NAME=COLUMN" in in_a_line(command(*words[:5], "label"), 2)


def test_what_works_on_the_database_says_so_where_only_a_service_is_known(
    command: Command, tmp_path: Path
) -> None:
    del command.environ["DATABASE_URL"]
    for words in (("key", "list"), ("resource", "register", "a", "b.c"), ("psql",)):
        told = in_a_line(command(*words), 2)
        assert "set DATABASE_URL" in told
        assert ("/v1/keys" in told) == (words[0] == "key")
    assert list(tmp_path.iterdir()) == [], "nothing is made"
    assert command("schedule", "list").returncode == 0
    done = command()
    assert (done.returncode, done.stdout) == (2, "")
    assert "import files into a resource" in done.stderr


def test_a_locale_without_a_letter_is_no_reason_to_end(
    command: Command, file: Callable[..., Path]
) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    path = file("é.csv", "email,name,role\nd\u00e9,Dee,reader\n")
    done = command("import", "users", path, "--follow", **ascii_only)
    assert (done.returncode, done.stderr) == (3, "")
    assert "row 1: d?" in done.stdout
    told = command("errors", "last", "--json", **ascii_only)
    assert json.loads(told.stdout)["errors"][0]["value"] == "d\u00e9"
