"""`pgsluice export` as a job, and `download`: several resources, wires that break, Ctrl-C."""

import csv
import hashlib
import io
import json
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ..bucket import bucket
from ..conftest import Service
from .conftest import Command, in_a_line
from .cut import Wire

_ROWS = 5_000


def _fill(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(
            "insert into app.users (email, name, role, active) select format('p%%s@example.org', i)"
            ", repeat('Ann', 60), 'author', i <= 3 from generate_series(1, %s) as i",
            [_ROWS],
        )
        conn.execute(
            "insert into app.articles (slug, title, body, author_id, status) select "
            "'s-' || row_number() over (), 'T', repeat('word ', 20), u.id, 'draft' "
            "from app.users as u where u.email ~ '^p[1-9]@'"
        )


@pytest.fixture(scope="module", autouse=True)
def _people(service: Service) -> None:
    _fill(service.dsn)


@pytest.fixture(scope="module")
def made(service: Service) -> dict[str, Any]:
    """An export of all users that is done, with its file as `content`."""
    asked = {"resource": "users", "format": "csv", "order": "email"}
    with httpx.Client(base_url=service.url, headers={"Prefer": "wait=60"}) as http:
        job: dict[str, Any] = http.post("/v1/exports", json=asked).json()
        assert job["status"] == "completed"
        return job | {"content": http.get(job["download_url"]).content}


def test_several_resources_leave_in_a_zip(command: Command, tmp_path: Path) -> None:
    words = ("export", "users", "articles", "--format", "csv")
    chosen = ("--filter", "users:active=true", "--fields", "users:id", "articles:author_id")
    refused = in_a_line(command(*words, "--fields", "id", "-o", "all.zip"), 2)
    assert "of which resource? say users:id" in refused
    done = command(*words, *chosen[:4], "--fields", chosen[4], "-o", "all.zip")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("all.zip: 6 records, ")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        users, articles = (
            {row[0] for row in csv.reader(io.TextIOWrapper(archive.open(name)))}
            for name in ("users.csv", "articles.csv")
        )
    assert users - articles == {"id"}
    assert articles - users == {"author_id"}
    piped = command(*words, *chosen[:2], "--archive", "none")
    assert "let -o name a folder" in in_a_line(piped, 2)
    told = json.loads(command(*words, "--archive", "none", "-o", ".", "--json").stdout)
    assert told["saved"] == ["users.csv", "articles.csv"]
    assert (tmp_path / "users.csv").stat().st_size == told["files"][0]["bytes"]


def test_an_export_stays_with_the_service_until_it_is_fetched(
    command: Command, tmp_path: Path
) -> None:
    accepted = command("export", "users", "--format", "csv", "--async")
    assert accepted.returncode == 0
    words = accepted.stdout.splitlines()[-1].split()
    assert words[:2] == ["pgsluice", "download"]
    fetched = command(*words[1:])
    assert fetched.stdout.startswith("users.csv: 5,000 records, ")
    whole = (tmp_path / "users.csv").read_text()
    assert command("download", "last", "-o", "-").stdout == whole
    followed = command("export", "users", "--format", "csv", "--follow", "--json")
    assert (followed.returncode, followed.stderr) == (0, "")
    job = json.loads(followed.stdout)
    assert job["sha256"] == hashlib.sha256(whole.encode()).hexdigest()
    told = f"export {job['job_id']} is deleted\n"
    assert command("jobs", "delete", job["job_id"]).stdout == told
    assert "does not exist" in in_a_line(command("download", job["job_id"]))
    assert "unknown resource" in in_a_line(command("export", "nouns", "--async"))


def test_a_download_that_breaks_goes_on(
    command: Command, made: dict[str, Any], service: Service, tmp_path: Path
) -> None:
    # two requests find the job; the third is the download
    with Wire(service.url, breaks={3}, down=200_000) as wire:
        done = command("download", made["job_id"], "-o", "a.csv", SLUICE_URL=wire.url)
        assert wire.connections == 4
    assert done.returncode == 0
    assert "going on where it broke off" in done.stderr
    assert (tmp_path / "a.csv").read_bytes() == made["content"]
    with Wire(service.url, breaks={3}, down=200_000) as wire:
        done = command("download", made["job_id"], "-o", "-", SLUICE_URL=wire.url)
    assert done.stdout.encode() == made["content"]


def test_what_has_come_before_ctrl_c_is_not_sent_again(
    command: Command, made: dict[str, Any], service: Service, tmp_path: Path
) -> None:
    words = ("download", made["job_id"], "-o", "b.csv")
    with Wire(service.url, breaks={3}, down=200_000) as wire:
        environ = {"SLUICE_URL": wire.url}
        with command.start(*words, stderr=-1, environ=environ) as process:
            assert process.stderr
            assert b"going on" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            told = process.stderr.read().decode()
    assert process.returncode == 130
    assert f"bytes are kept; pgsluice download {made['job_id']} -o b.csv goes on there" in told
    (part,) = tmp_path.iterdir()
    assert 0 < part.stat().st_size < len(made["content"])
    part.write_bytes(b"!" + part.read_bytes()[1:])
    assert "is not what was exported" in in_a_line(command(*words))
    assert list(tmp_path.iterdir()) == []
    assert command(*words).returncode == 0
    assert (tmp_path / "b.csv").read_bytes() == made["content"]


def test_ctrl_c_has_the_export_cancelled(
    start_service: Callable[..., Service], tmp_path: Path
) -> None:
    idle = start_service(SLUICE_WORKER="false")
    command = Command(tmp_path, SLUICE_URL=idle.url)
    process = command.start("export", "users", "-o", "c.csv", "--async", stderr=-1)
    with process, httpx.Client(base_url=idle.url) as http:
        end = time.monotonic() + 20
        while not (jobs := http.get("/v1/jobs").json()["jobs"]):
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[1].decode()
        assert (process.returncode, "asking the service to cancel" in told) == (130, True), told
        assert http.get(f"/v1/exports/{jobs[0]['job_id']}").json()["status"] == "cancelled"
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_the_store_is_followed_without_our_key(
    start_service: Callable[..., Service], tmp_path: Path
) -> None:
    with bucket() as shelf:
        linked = start_service(**shelf.environ, SLUICE_DOWNLOADS="redirect")
        _fill(linked.dsn)
        command = Command(tmp_path, SLUICE_URL=linked.url)
        done = command("export", "users", "-o", "u.csv.gz", "--async", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        packed = (tmp_path / "u.csv.gz").read_bytes()
        assert hashlib.sha256(packed).hexdigest() == json.loads(done.stdout)["sha256"]
