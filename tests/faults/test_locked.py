"""Somebody alters a table while files for it come in: those wait, all else goes on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from .conftest import found
from .fleet import Fleet, until

HELD = "another session holds a table or row that this needs"


@pytest.fixture
def estate(fleet: Fleet) -> Fleet:
    """An API that is impatient, and a worker."""
    fleet.api(DATABASE_URL=make_conninfo(fleet.dsn, options="-c lock_timeout=300ms"))
    fleet.worker()
    return fleet


@contextmanager
def altered(fleet: Fleet) -> Iterator[None]:
    """The table of users is locked as by ALTER TABLE."""
    with psycopg.connect(fleet.dsn) as conn:
        conn.execute("lock table app.users in access exclusive mode")
        yield


def post(fleet: Fleet, text: str, **options: str) -> dict[str, Any]:
    reply = httpx.post(
        f"{fleet.apis[0].url}/v1/imports",
        params={"resource": "users", "format": "csv", **options},
        content=text,
        timeout=60,
    )
    assert reply.status_code == 202, reply.text
    return dict(reply.json())


def job(fleet: Fleet, job_id: str) -> dict[str, Any]:
    return dict(httpx.get(f"{fleet.apis[0].url}/v1/imports/{job_id}", timeout=30).json())


def test_a_file_for_a_table_that_is_altered_is_taken_in_and_waits(estate: Fleet) -> None:
    with altered(estate):
        since = time.monotonic()
        good = post(
            estate, "email,name,role,x\na@example.org,A,reader,1\n", unknown_fields="ignore"
        )
        bad = post(estate, "email,nmae\nb@example.org,B\n")
        assert time.monotonic() - since < 30
        assert good["status"] == "pending"
        told = until(lambda: job(estate, good["id"])["metrics"].get("last_error"))
        assert told.startswith(HELD)
        assert job(estate, good["id"])["status"] == "pending"
    done = until(lambda: found(job(estate, good["id"])))
    assert (done["status"], done["counts"]["inserted"]) == ("completed", 1), done
    assert done["ignored_fields"] == ["x"]
    assert "last_error" not in done["metrics"]
    refused = until(lambda: found(job(estate, bad["id"])))
    assert refused["error"]["title"] == "The import could not begin"
    assert "'nmae'" in refused["error"]["detail"]
    assert estate.tracebacks() == []


def test_who_asks_about_a_table_that_is_altered_is_told_to_come_again(estate: Fleet) -> None:
    with altered(estate), httpx.Client(base_url=estate.apis[0].url, timeout=30) as client:
        for path in ("/v1/resources", "/v1/resources/users", "/v1/exports?resource=users"):
            refused = client.get(path)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5"), path
            assert refused.json()["detail"].startswith(HELD)
        assert client.get("/v1/jobs").status_code == 200
        assert client.get("/health").status_code == 200
    assert estate.tracebacks() == []
