"""`pgsluice sample` and `demo`."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from ..conftest import Service
from .conftest import Command, environment


def test_samples_are_the_same_for_the_same_seed(command: Command, tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        done = command("sample", "--set", "huge", folder, "--rows", "300", "--seed", seed)
        assert (done.returncode, done.stderr) == (0, "")
    texts = {
        folder: [path.read_bytes() for path in sorted((tmp_path / folder).iterdir())]
        for folder in "abc"
    }
    assert texts["a"] == texts["b"]
    assert texts["a"] != texts["c"]
    lines = {path.name: path.read_text().count("\n") for path in (tmp_path / "a").iterdir()}
    assert lines == {
        "users_huge.csv": 301, "articles_huge.ndjson": 450, "comments_huge.ndjson": 600,
    }  # fmt: skip
    assert "10,000" in command("sample", "--help").stdout


def test_samples_have_every_defect_and_no_other(
    command: Command, tmp_path: Path, database: psycopg.Connection
) -> None:
    command("sample", "s", "--rows", "1000")
    kinds = {}
    for name in ("users", "articles", "comments"):
        path = next((tmp_path / "s").glob(f"{name}*"))
        done = command("import", name, path, "--follow", "--json")
        job = json.loads(done.stdout)
        assert (done.returncode, job["outcome"]) == (3, "partial")
        assert 0.02 < job["counts"]["rejected"] / job["counts"]["received"] < 0.08
        summary = json.loads(command("errors", job["job_id"], "--summary", "--json").stdout)
        kinds[name] = {(group["field"], group["code"]) for group in summary["groups"]}
    assert kinds == {
        "users": {("email", "check"), ("email", "duplicate"), ("role", "check")},
        "articles": {
            ("slug", "check"), ("slug", "duplicate"), ("author_id", "reference"),
            ("published_at", "check"),
        },
        "comments": {
            ("article_id", "reference"), ("user_id", "reference"), ("user_id", "type"),
            ("body", "check"), ("body", "required"),
        },
    }  # fmt: skip


@pytest.fixture
def home(open_tmp: Path) -> Iterator[Path]:
    """A folder for a demo, which the database's user can enter."""
    path = open_tmp / "demo"
    yield path
    shutil.rmtree(path, ignore_errors=True)


def run_line(line: str) -> str:
    """What a line of the guide prints, in a shell that knows nothing of pgsluice."""
    words = ["sh", "-c", line]
    done = subprocess.run(words, env=environment(), stdout=-1, check=False, text=True, timeout=60)
    return done.stdout


def test_the_demo_lives_twice_and_stops_cleanly(
    command: Command, home: Path, service: Service
) -> None:
    told = []
    taken = {"SLUICE_PORT": service.url.rpartition(":")[2]}
    for port, environ in ((("--port", 0), {}), ((), taken)):
        process = command.start(
            "demo", "--home", home, *port, stdout=-1, stderr=-1, environ=environ
        )
        assert process.stdout
        assert process.stderr
        text = ""
        for line in process.stdout:
            text += line.decode()
            if "Ctrl-C stops it" in text:
                break
        url = re.search(r"http://127\.0\.0\.1:\d+", text)
        assert url, process.stderr.read().decode()
        told.append(text)
        with httpx.Client(base_url=url[0]) as http:
            jobs = http.get("/v1/jobs?limit=100").json()["jobs"]
            names = {one["name"] for one in http.get("/v1/resources").json()}
            export = next(job for job in jobs if job["kind"] == "export")
            export = http.get(f"/v1/exports/{export['job_id']}").json()
            schedules = http.get("/v1/schedules").json()["schedules"]
        found = run_line(next(line for line in text.splitlines() if " doctor " in line))
        assert f"{home}/files takes files and gives them back" in found
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        notes = process.stderr.read().decode()
        assert "Traceback" not in notes
        assert (f"port {taken['SLUICE_PORT']} is not free" in notes) == bool(environ)
        process.stdout.close()
        process.stderr.close()
    assert f"rm -r {home} removes it" in told[0]
    assert export["metrics"]["exported"]["users"] == 1_908
    assert export["metrics"]["exported"]["articles"] > 2_500
    assert len(jobs) == 8
    assert {job["status"] for job in jobs} == {"completed", "failed"}
    assert {job["outcome"] for job in jobs} == {"clean", "partial", None}
    assert {job["kind"] for job in jobs} == {"import", "export"}
    assert names == {"users", "addresses", "articles", "comments", "products"}
    assert [one["name"] for one in schedules] == ["nightly-users"]
    assert "users_huge.csv into users: partial, 1,908 good, 92 rejected" in told[0]
