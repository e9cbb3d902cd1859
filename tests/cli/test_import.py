"""`pgsluice import`: exit codes, files of errors and rejects, and plain words."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
import zstandard

from .conftest import MIXED, USERS, Command, in_a_line

pytestmark = pytest.mark.usefixtures("database")


def test_a_clean_file_ends_with_0(command: Command, file: Callable[..., Path]) -> None:
    done = command("import", "users", file(), "--follow")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("users.csv: clean, ")
    assert "2 records: 2 inserted" in done.stdout


def test_without_follow_it_tells_how_to_follow(command: Command, file: Callable[..., Path]) -> None:
    done = command("import", "users", file())
    assert done.returncode == 0
    told = done.stdout.splitlines()[-1].split()
    assert told[:3] == ["pgsluice", "jobs", "follow"]
    assert command(*told[1:]).returncode == 0


def test_a_partial_one_ends_with_3_and_leaves_errors_and_rejects(
    command: Command, file: Callable[..., Path], tmp_path: Path
) -> None:
    file("mixed.csv", MIXED)
    done = command(
        "import", "users", "mixed.csv", "--rejects", "bad.csv", "--errors", "errors.ndjson"
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert "3 records: 1 inserted, 2 rejected" in done.stdout
    table = [line.split()[:3] for line in done.stdout.splitlines()]
    assert {("email", "check", "1"), ("role", "check", "1")} <= {tuple(line) for line in table}
    rejects = (tmp_path / "bad.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rejects] == ["email", "nobody", "fay@example.org"]
    errors = [json.loads(line) for line in (tmp_path / "errors.ndjson").read_text().splitlines()]
    assert {(error["row"], error["field"]) for error in errors} >= {(2, "email"), (2, "role")}


def test_rejects_can_be_mended_and_sent_again(
    command: Command, file: Callable[..., Path], tmp_path: Path
) -> None:
    command("import", "users", file("mixed.csv", MIXED), "--rejects", "bad.csv")
    bad = tmp_path / "bad.csv"
    mended = bad.read_text().replace("nobody,Dee,boss", "dee@example.org,Dee,reader")
    bad.write_text(mended.replace("fay@example.org,,", "fay@example.org,Fay,"))
    parent = json.loads(command("jobs", "show", "last", "--json").stdout)["job_id"]
    done = command("import", "users", "bad.csv", "--follow", "--parent", parent, "--json")
    assert done.returncode == 0
    job = json.loads(done.stdout)
    assert (job["counts"]["inserted"], job["parent_job_id"]) == (2, parent)


def test_a_failed_one_ends_with_1(command: Command, file: Callable[..., Path]) -> None:
    file("mixed.csv", MIXED)
    done = command("import", "users", "mixed.csv", "--follow", "--max-error-ratio", "0.1")
    assert done.returncode == 1
    assert done.stdout.startswith("mixed.csv: failed, ")
    assert "max_error_ratio" in done.stdout


def test_a_dry_run_writes_nothing(
    command: Command, file: Callable[..., Path], database: psycopg.Connection
) -> None:
    done = command("import", "users", file(), "--dry-run", "--follow")
    assert done.returncode == 0
    assert "(a dry run: nothing was written)" in done.stdout
    assert database.execute("select count(*) from app.users").fetchone() == (0,)


def test_json_is_all_that_stdout_has(command: Command, file: Callable[..., Path]) -> None:
    done = command("import", "users", file("mixed.csv", MIXED), "--follow", "--json")
    assert (done.returncode, done.stderr) == (3, "")
    assert json.loads(done.stdout)["outcome"] == "partial"


def test_options_are_flags(command: Command, file: Callable[..., Path], http: httpx.Client) -> None:
    text = "E-Mail;name;role;junk\nann@example.org; Ann ;reader;1\n"
    words = (
        "--mapping", '{"E-Mail": "email"}', "--unknown-fields", "ignore", "--delimiter", ";",
        "--trim", "--atomic", "--mode", "insert", "--defaults", '{"phone": "1"}',
    )  # fmt: skip
    assert command("import", "users", file("odd.csv", text), "--follow", *words).returncode == 0
    rows = http.get("/v1/exports?resource=users&fields=email,name,phone").json()
    assert rows == {"email": "ann@example.org", "name": "Ann", "phone": "1"}


def test_every_option_is_a_flag(command: Command, database: psycopg.Connection) -> None:
    row = database.execute("select sluice.option_names()").fetchone()
    assert row
    told = command("import", "--help").stdout
    assert [name for name in row[0] if f"--{name.replace('_', '-')} " not in told] == []


def test_standard_input_and_compressed_files(command: Command, tmp_path: Path) -> None:
    packed = gzip.compress(USERS.encode())
    done = command("import", "users", "-", "--format", "csv", "--follow", stdin=packed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("standard input: clean")
    (tmp_path / "users.csv.zst").write_bytes(zstandard.compress(USERS.encode()))
    done = command("import", "users", "users.csv.zst", "--follow")
    assert "2 records: 2 unchanged" in done.stdout


def test_several_files_end_as_the_worst_of_them(
    command: Command, file: Callable[..., Path], tmp_path: Path
) -> None:
    file()
    file("mixed.csv", MIXED)
    (tmp_path / "out").mkdir()
    words = ("import", "users", "users.csv", "mixed.csv", "--rejects", "out")
    done = command(*words)
    assert done.returncode == 3
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"users.csv.rejects", "mixed.csv.rejects"}
    done = command(*words, "gone.csv", "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)) == 2
    assert "gone.csv cannot be read" in done.stderr
    assert "must be a folder" in in_a_line(command(*words[:-1], "nowhere"), 2)


def test_what_is_wrong_is_said_in_a_line(
    command: Command, file: Callable[..., Path], tmp_path: Path
) -> None:
    gone = in_a_line(command("import", "users", "gone.csv"))
    assert "gone.csv cannot be read: No such file or directory" in gone
    file()
    down = in_a_line(command("import", "users", "users.csv", SLUICE_URL="http://127.0.0.1:9"))
    assert "no service answers at http://127.0.0.1:9" in down
    assert "pgsluice serve" in down
    assert "known resources: " in in_a_line(command("import", "nouns", "users.csv"))
    odd = in_a_line(command("import", "users", file("users.odd")))
    assert "the format of the file 'users.odd' is not known" in odd
    nameless = in_a_line(command("import", "users", "-", stdin=b"email\n"), 2)
    assert "say --format" in nameless
    wrong = in_a_line(command("import", "users", "users.csv", "--mode", "replace"))
    assert "upsert" in wrong
    nowhere = in_a_line(command("import", "users", "users.csv", "--rejects", "no/r.csv"), 2)
    assert "no is no folder" in nowhere
    (tmp_path / "key").write_text("two words\n")
    bad_key = in_a_line(command("import", "users", "users.csv", "--key-file", "key"))
    assert "must hold one key" in bad_key
    assert command("import", "users").returncode == 2


def test_a_key_comes_from_the_environment_or_a_file(
    command: Command, file: Callable[..., Path], tmp_path: Path
) -> None:
    key = json.loads(command("key", "create", "loader", "--profile", "nest", "--json").stdout)[
        "key"
    ]
    try:
        file()
        refused = in_a_line(command("import", "users", "users.csv"))
        assert "SLUICE_API_KEY or --key-file" in refused
        wrong = in_a_line(command("import", "users", "users.csv", SLUICE_API_KEY="slk_wrong"))
        assert "unknown, revoked or expired" in wrong
        done = command("import", "users", "users.csv", "--follow", SLUICE_API_KEY=key)
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / "key").write_text(f"{key}\n")
        assert command("import", "users", "users.csv", "--key-file", "key").returncode == 0
    finally:
        command("key", "revoke", "loader")


@pytest.fixture(autouse=True)
def _no_keys(database: psycopg.Connection) -> None:
    """Each test begins with a service that is open to this machine."""
    database.execute("delete from sluice.api_key")
