"""Names that settings had in the earlier systems: one table, tried name by name."""

from pathlib import Path

import psycopg
import pytest

from pgsluice.aliases import ALIASES, DATABASE, STORE, tell_store
from pgsluice.settings import SettingsError, load

from .sql.importer import begin, csv_text

pytestmark = pytest.mark.usefixtures("no_settings")
NO_FILE = Path("no such file")
MIB = 1024**2


TRIED = [
    ("PORT", "3000", "port", 3000),
    ("APP_PORT", "3001", "port", 3001),
    ("API_KEY", "a-key-of-theirs", "api_keys", "a-key-of-theirs"),
    ("IMPORT_WORKERS", "4", "import_sessions", 4),
    ("WORKER_IMPORT_WORKERS", "5", "import_sessions", 5),
    ("JOB_CONCURRENCY", "6", "import_sessions", 6),
    ("WORKER_EXPORT_WORKERS", "3", "exports", 3),
    ("IMPORT_BATCH_SIZE", "1000", "batch_rows", 1000),
    ("IMPORT_MAX_FILE_SIZE", "104857600", "max_upload_bytes", 100 * MIB),
    ("IMPORT_MAX_FILE_SIZE", "100MB", "max_upload_bytes", 100 * MIB),
    ("IMPORT_MAX_FILE_SIZE", "1.5 GiB", "max_upload_bytes", 1536 * MIB),
    ("IMPORT_MAX_FILE_SIZE", "512k", "max_upload_bytes", MIB // 2),
    ("IMPORT_BASE_DIR", "/srv/imports", "import_dir", Path("/srv/imports")),
    ("AWS_S3_BUCKET", "exports", "store", "s3://exports"),
    ("AWS_S3_BUCKET", "exports", "downloads", "redirect"),
]


@pytest.mark.parametrize(("name", "value", "field", "read"), TRIED)
def test_a_name_of_an_earlier_system_is_honoured(
    name: str, value: str, field: str, read: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert getattr(load({}, {name: value}, NO_FILE), field) == read
    assert name not in caplog.text


def test_every_alias_of_the_table_is_tried_above() -> None:
    assert {name for name, *_ in TRIED} == {name for names in ALIASES.values() for name in names}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (
            {
                "DATABASE_HOST": "db.internal",
                "DATABASE_PORT": "5433",
                "DATABASE_USERNAME": "app",
                "DATABASE_PASSWORD": "p@ss/w:rd",
                "DATABASE_NAME": "bulk",
            },
            "postgresql://app:p%40ss%2Fw%3Ard@db.internal:5433/bulk",
        ),
        (
            {
                "DB_HOST": "localhost",
                "DB_PORT": "5432",
                "DB_USER": "app",
                "DB_PASSWORD": "x",
                "DB_NAME": "bulk",
                "DB_SSLMODE": "disable",
            },
            "postgresql://app:x@localhost:5432/bulk?sslmode=disable",
        ),
        ({"DB_NAME": "bulk"}, "postgresql://localhost/bulk"),
        ({"DB_HOST": "/run/postgresql"}, "postgresql://%2Frun%2Fpostgresql/"),
        ({"DATABASE_URL": "postgresql://h/d", "DB_HOST": "other"}, "postgresql://h/d"),
        # a password alone names no database
        ({"DB_PASSWORD": "x"}, None),
    ],
)
def test_a_database_in_parts_becomes_its_url(environ: dict[str, str], url: str | None) -> None:
    assert load({}, environ, NO_FILE).database_url == url


def test_the_password_may_come_from_the_environment_and_the_rest_from_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / ".env"
    file.write_text("DB_HOST=h\nDB_USER=u\nDB_NAME=d\nDB_PASSWORD=old\n")
    settings = load({}, {"DB_PASSWORD": "new"}, file)
    assert settings.database_url == "postgresql://u:new@h/d"


def test_an_own_name_wins_over_an_alias_and_the_environment_over_the_file(tmp_path: Path) -> None:
    assert load({}, {"PORT": "1", "SLUICE_PORT": "2"}, NO_FILE).port == 2
    file = tmp_path / ".env"
    file.write_text("SLUICE_PORT=3\nAPP_PORT=4\n")
    assert load({}, {}, file).port == 3
    assert load({}, {"PORT": "1"}, file).port == 1
    assert load({"port": 5}, {"PORT": "1", "SLUICE_PORT": "2"}, file).port == 5
    assert load({}, {"PORT": "", "APP_PORT": "6"}, NO_FILE).port == 6


def test_a_bad_value_is_told_under_the_name_that_was_used() -> None:
    with pytest.raises(SettingsError, match=r"^IMPORT_MAX_FILE_SIZE cannot be '10 apples'"):
        load({}, {"IMPORT_MAX_FILE_SIZE": "10 apples"}, NO_FILE)
    with pytest.raises(SettingsError, match=r"^API_KEY cannot be what it is") as caught:
        load({}, {"API_KEY": "s3cret"}, NO_FILE)
    assert "s3cret" not in str(caught.value)


def test_other_settings_of_theirs_are_ignored_with_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs = {"REDIS_HOST": "r", "DB_POOL_SIZE": "9", "WORKER_POLL_INTERVAL": "1", "PATH": "/bin"}
    load({}, {**theirs, "DB_HOST": "h", "AWS_S3_ENDPOINT": "e", "AWS_REGION": "r"}, NO_FILE)
    assert [record.getMessage() for record in caplog.records] == [
        "no settings of pgsluice, ignored: DB_POOL_SIZE, REDIS_HOST, WORKER_POLL_INTERVAL"
    ]


def test_the_file_store_is_told_what_it_reads_from_the_environment_only() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "of the environment"}
    file = {"AWS_S3_ENDPOINT": "http://minio:9000", "AWS_REGION": "eu-west-3", "PATH": "/no"}
    tell_store(environ, {**file, "AWS_ACCESS_KEY_ID": "of the file"})
    assert environ == {
        "AWS_ACCESS_KEY_ID": "of the environment",
        "AWS_S3_ENDPOINT": "http://minio:9000",
        "AWS_ENDPOINT_URL": "http://minio:9000",
        "AWS_REGION": "eu-west-3",
    }
    told = {"AWS_ENDPOINT_URL": "http://own", "AWS_S3_ENDPOINT": "minio:9000"}
    tell_store(told, {})
    assert told["AWS_ENDPOINT_URL"] == "http://own"


def test_the_docs_name_every_alias() -> None:
    page = (Path(__file__).parents[1] / "docs" / "earlier-systems.md").read_text()
    names = [
        *(name for names in ALIASES.values() for name in names),
        *(name for names in DATABASE.values() for name in names),
        *STORE,
    ]
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize(("batch_rows", "steps"), [("400", 4), ("50000", 1)])
def test_a_batch_size_is_what_one_transaction_merges(
    conn: psycopg.Connection, batch_rows: str, steps: int
) -> None:
    conn.execute("select set_config('sluice.batch_rows', %s, false)", [batch_rows])
    rows = [[f"u{number}@example.org", "Ann", "reader"] for number in range(1600)]
    job_id = begin(conn, "users", csv_text(["email", "name", "role"], *rows), "csv")
    conn.execute("call sluice.import_run(%s)", [job_id])
    done = conn.execute(
        "select count(*) from sluice.step where job_id = %s and kind = 'merge'", [job_id]
    ).fetchone()
    assert done == (steps,)
