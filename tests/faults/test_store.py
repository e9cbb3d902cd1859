"""The file store under stress: full, missing, unreachable; workers and downloads that break off."""

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from ..bucket import Bucket
from .fleet import Fleet, until

USERS = """
insert into app.users (email, name, role)
select format('u%s@example.org', i), repeat('Ann ', 30), 'author'
from generate_series(1, 60000) as i
"""
WAITS = "select 1 from pg_locks where not granted and relation = 'app.comments'::regclass"


def export(fleet: Fleet, **request: Any) -> str:
    """An export that is asked for in SQL; the id of its job."""
    with fleet.connect() as conn:
        row = conn.execute(
            "select sluice.export_create(request => %s) ->> 'job_id'", [Jsonb(request)]
        ).fetchone()
    assert row
    return str(row[0])


def retry(fleet: Fleet, job_id: str) -> str:
    """The id of the job that exports the same again."""
    return str(fleet.one(f"select sluice.retry_job('{job_id}') ->> 'job_id'"))


def job(fleet: Fleet, job_id: str) -> dict[str, Any]:
    """The job as it is now."""
    return dict(fleet.one(f"select sluice.job_json('{job_id}')"))


def ended(fleet: Fleet, job_id: str, seconds: float = 60) -> dict[str, Any]:
    """The job once it has ended."""

    def look() -> dict[str, Any] | None:
        seen = job(fleet, job_id)
        return seen if seen["completed_at"] else None

    return dict(until(look, seconds, 0.1))


def files(folder: Path) -> list[str]:
    """All that lies in a folder, however deep; folders with nothing in them do not count."""
    return sorted(
        str((Path(place) / name).relative_to(folder))
        for place, _, names in os.walk(folder)
        for name in names
    )


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {made.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_full_disk_fails_the_job_at_once_and_retry_works_after_it_is_mended(
    fleet: Fleet, small_disk: Path
) -> None:
    fleet.run(USERS)
    fleet.worker(SLUICE_STORE=str(small_disk / "files"))
    first = ended(fleet, full := export(fleet, resource="users"))
    assert first["status"] == "failed"
    assert "No space left on device" in first["error"]["detail"]
    assert files(small_disk) == []
    assert ended(fleet, export(fleet, resource="users", limit=100))["status"] == "completed"
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    second = ended(fleet, retry(fleet, full))
    assert (second["status"], second["exported"]) == ("completed", 60000)
    assert fleet.tracebacks() == []


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An S3 server that does not run yet."""
    made = Bucket()
    yield made
    made.stop()


def test_a_missing_bucket_fails_the_job_at_once(fleet: Fleet, bucket: Bucket) -> None:
    bucket.start()
    fleet.worker(**bucket.environ)
    first = ended(fleet, missing := export(fleet, resource="users"))
    assert first["status"] == "failed"
    assert "NoSuchBucket" in first["error"]["detail"]
    bucket.create()
    assert ended(fleet, retry(fleet, missing))["status"] == "completed"
    assert len(bucket.objects()) == 1
    assert fleet.tracebacks() == []


def test_a_store_that_cannot_be_reached_is_tried_five_times(fleet: Fleet, bucket: Bucket) -> None:
    fleet.worker(**bucket.environ)
    away = export(fleet, resource="users")
    for attempt in range(1, 6):
        waits = f"select count(*) from sluice.job where worker is null and attempts = {attempt}"
        until(lambda query=waits: fleet.one(query), 40)
        seen = job(fleet, away)
        assert seen["status"] == "processing"
        assert "error sending request" in seen["metrics"]["last_error"]
        # 5, 15, 45, 135 seconds: the test has no time for that
        fleet.run("update sluice.job set not_before = null; select sluice.announce('work')")
    first = ended(fleet, away)
    assert first["status"] == "failed"
    assert "5 times" in first["error"]["detail"]
    assert "error sending request" in first["error"]["detail"]
    bucket.start()
    bucket.create()
    assert ended(fleet, retry(fleet, away))["status"] == "completed"
    assert fleet.tracebacks() == []


def test_a_store_that_comes_back_is_found_again(fleet: Fleet, bucket: Bucket) -> None:
    fleet.worker(**bucket.environ)
    away = export(fleet, resource="users")
    until(lambda: "last_error" in job(fleet, away)["metrics"], 40)
    bucket.start()
    bucket.create()
    done = ended(fleet, away)
    assert (done["status"], "last_error" in done["metrics"]) == ("completed", False)


@contextmanager
def half_way(fleet: Fleet) -> Iterator[str]:
    """An export whose worker has written much and waits for a lock; other workers wait too."""
    fleet.run(USERS)
    made = export(fleet, resources=["users", "comments"], compression="none")
    with psycopg.connect(fleet.dsn) as conn:
        conn.execute("lock table app.comments")
        fleet.worker()
        until(lambda: conn.execute(WAITS).fetchone())
        until(lambda: files(fleet.store))
        yield made


def test_an_export_whose_worker_is_killed_is_finished_by_another(fleet: Fleet) -> None:
    with half_way(fleet) as made:
        half = files(fleet.store)
        assert [name.rpartition("/")[2] for name in half] == ["users-comments.zip#1"]
        fleet.workers[0].kill()
    started = time.monotonic()
    fleet.worker()
    done = ended(fleet, made)
    assert time.monotonic() - started < 60
    assert (done["status"], done["exported"]) == ("completed", 60000)
    (whole,) = set(files(fleet.store)) - set(half)
    assert sha256(fleet.store / whole) == done["sha256"]
    # What the dead one left is found by whoever tidies after an hour.
    for name in files(fleet.store):
        os.utime(fleet.store / name, (time.time() - 4000,) * 2)
    fleet.worker()
    until(lambda: files(fleet.store) == [whole])


def test_an_export_whose_worker_is_told_to_stop_goes_on_elsewhere_at_once(fleet: Fleet) -> None:
    with half_way(fleet) as made:
        fleet.worker()
        assert fleet.workers[0].terminate(30) == 0
        until(lambda: fleet.one("select count(*) from sluice.job where worker is not null"), 5)
        assert fleet.one("select attempts from sluice.job") == 1
    done = ended(fleet, made, 20)
    assert done["status"] == "completed"
    (whole,) = files(fleet.store)
    assert sha256(fleet.store / whole) == done["sha256"]
    assert fleet.tracebacks() == []


def test_a_download_that_broke_is_resumed_by_range(fleet: Fleet) -> None:
    fleet.run(USERS)
    url = fleet.api().url
    fleet.worker()
    done = ended(fleet, export(fleet, resource="users"))
    got, tag = b"", ""
    with httpx.Client(base_url=url, timeout=30) as client:
        while len(got) < done["bytes"]:
            headers = {"Range": f"bytes={len(got)}-", "If-Range": tag} if got else {}
            with client.stream("GET", done["download_url"], headers=headers) as reply:
                assert reply.status_code == (206 if got else 200)
                tag, wanted = reply.headers["etag"], len(got) + 3_000_000
                for block in reply.iter_raw(65536):
                    got += block
                    if len(got) >= wanted:
                        break
    assert hashlib.sha256(got).hexdigest() == done["sha256"]


def test_a_download_breaks_when_the_store_does(fleet: Fleet, bucket: Bucket) -> None:
    fleet.run(USERS)
    bucket.start()
    bucket.create()
    url = fleet.api(**bucket.environ).url
    fleet.worker(**bucket.environ)
    done = ended(fleet, export(fleet, resource="users"))
    with httpx.Client(base_url=url, timeout=60) as client:
        with client.stream("GET", done["download_url"]) as reply:
            assert reply.status_code == 200
            blocks = reply.iter_raw(65536)
            next(blocks)
            bucket.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                b"".join(blocks)
        assert client.get(done["download_url"]).status_code == 503
    assert fleet.tracebacks() == []


def test_fifty_exports_leave_nothing_once_they_are_deleted(fleet: Fleet) -> None:
    fleet.run("insert into app.users (email, name, role) values ('a@example.org', 'A', 'author')")
    api, worker = fleet.api(), fleet.worker()

    def handles() -> list[int]:
        return [len(list(Path(f"/proc/{member.pid}/fd").iterdir())) for member in (api, worker)]

    def round_(count: int) -> None:
        made = [export(fleet, resource="users", compression="gzip") for _ in range(count)]
        with httpx.Client(base_url=api.url, timeout=30) as client:
            for job_id in made:
                done = ended(fleet, job_id)
                assert client.get(done["download_url"]).status_code == 200
                assert client.delete(done["links"]["self"]).status_code == 204

    round_(10)
    before = handles()
    round_(40)
    until(lambda: files(fleet.store) == [], 40)
    assert fleet.one("select count(*) from sluice.stale_file") == 0
    after = handles()
    assert all(now <= then + 4 for now, then in zip(after, before, strict=True)), (before, after)
