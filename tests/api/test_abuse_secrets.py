"""What must not be told: keys, tokens, SQL, paths; and a log that only the service writes."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ..conftest import address, serve, stop
from .conftest import USERS, is_problem

Logged = tuple[httpx.Client, Callable[[], str]]
KEY = "of-the-operator-0123456789"
HIDDEN = "hidden-in-a-query"


@pytest.fixture(params=["json", "text"])
def logged(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> Iterator[Logged]:
    """A client of a service with a key, and what that has logged once it has ended."""
    log = tmp_path / "log"
    with _stderr_into(log):
        process = serve(
            cwd=tmp_path,
            DATABASE_URL=dsn,
            SLUICE_API_KEYS=KEY,
            SLUICE_LOG_FORMAT=request.param,
            SLUICE_URL_HOSTS="127.0.0.1",
        )
    headers = {"X-API-Key": KEY}
    with httpx.Client(base_url=address(process), headers=headers, timeout=60) as client:

        def read() -> str:
            stop(process)
            return log.read_text(encoding="utf-8")

        yield client, read
    stop(process)


@contextmanager
def _stderr_into(log: Path) -> Iterator[None]:
    """What is started here writes its errors into a file."""
    saved = os.dup(2)
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def test_neither_log_nor_jobs_hold_a_secret(logged: Logged) -> None:
    client, read = logged
    secret = client.post("/v1/keys", json={"name": "n", "rate_limit": 1000}).json()["key"]
    unknown = "unknown-key-9876543210"
    url = f"http://127.0.0.1:1/a.csv?signature={HIDDEN}"
    wait = {"Prefer": "wait=1"}
    asked = {"resource": "users", "url": url, "callback_url": url}
    shown = [
        client.post("/v1/imports", json=asked, headers=wait),
        client.post("/v1/exports", json={"resource": "users", "callback_url": url}, headers=wait),
        client.get("/v1/jobs"),
        client.get("/v1/keys"),
        client.get("/v1/jobs", headers={"X-API-Key": secret}),
        client.get("/v1/jobs", headers={"X-API-Key": unknown}),
        client.get(f"/v1/exports/01a1fb90-d86a-7365-b39f-f102b6a62fb6/download?token={HIDDEN}"),
    ]
    jobs = client.get("/v1/jobs").json()["jobs"]
    shown += [client.get(f"/v1/jobs/{job['job_id']}/deliveries") for job in jobs]
    log = read()
    assert "/v1/imports" in log
    for told in (log, *(reply.text for reply in shown)):
        for hidden in (KEY, secret, unknown, HIDDEN):
            assert hidden not in told


def test_nobody_else_writes_a_line_of_the_log(logged: Logged) -> None:
    client, read = logged
    forged = "2026-01-01 00:00:00,000 INFO forged"
    odd = f"\r\n{forged}\x1b[2J\x9b2J\u2028{forged}\u202e\x85\0"
    name = odd.replace("\0", "").replace("/", "")
    client.get("/v1/" + "".join(f"%{byte:02x}" for byte in odd.encode()))
    client.get("/v1/resources/" + "".join(f"%{byte:02x}" for byte in name.encode()))
    client.get("/live", headers={b"X-Request-Id": b"a\tb", b"User-Agent": b"\x9b2J"})
    client.post(
        "/v1/imports",
        params={"resource": "users", "format": "csv", "file_name": name},
        content=USERS,
        headers={"Content-Type": "text/csv", "Prefer": "wait=10"},
    )
    log = read()
    lines = log.split("\n")
    assert any("forged" in line for line in lines)
    assert not any(line.startswith(forged) for line in lines)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", log)
    for line in filter(lambda line: line.startswith("{"), lines):
        json.loads(line)


INNER = re.compile(r"select |psycopg|traceback|/src/|\.py\b|relation ", re.IGNORECASE)


def test_a_failure_inside_tells_nothing_of_it(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    database.execute("alter function sluice.schedules_json rename to gone")
    try:
        reply = http.get("/v1/schedules")
    finally:
        database.execute("alter function sluice.gone rename to schedules_json")
    problem = is_problem(reply, 500)
    assert not INNER.search(reply.text)
    assert "X-Request-Id" in problem["detail"]


def test_a_refusal_names_no_sql_and_no_file(http: httpx.Client) -> None:
    csv = {"Content-Type": "text/csv"}
    for reply in (
        http.get("/v1/exports?resource=pg_class%20"),
        http.get("/v1/exports?resource=sluice.api_key"),
        http.get("/v1/exports?resource=users&fields=ctid"),
        http.get("/v1/resources/information_schema.tables"),
        http.post("/v1/imports?resource=sluice.api_key", content=USERS, headers=csv),
        http.post("/v1/imports", json={"resource": "users", "source_path": "/etc/passwd"}),
        http.post("/v1/imports", json={"resource": "users", "object": "../../etc/passwd"}),
        http.get("/v1/exports?resource=users&created_at[gt]=x"),
    ):
        assert 400 <= reply.status_code < 500
        told = reply.json()["detail"]
        assert not INNER.search(told), told


def test_a_rate_is_not_evaded_by_another_spelling(
    start_service: Callable[..., Any],
) -> None:
    guarded = start_service(SLUICE_API_KEYS="the-only-key", SLUICE_RATE_LIMIT="10")
    spellings: list[dict[str, str]] = [
        {"X-API-Key": "the-only-key"},
        {"x-api-KEY": "the-only-key"},
        {"Authorization": "Bearer the-only-key"},
        {"Authorization": "token   the-only-key"},
        {"X-API-Key": "the-only-key", "X-Forwarded-For": "192.0.2.1", "Forwarded": "for=x"},
    ]
    with httpx.Client(base_url=guarded.url, timeout=60) as client:
        if (second := time.time() % 60) > 45:
            time.sleep(61 - second)
        seen = [
            client.get(path, headers=headers).status_code
            for headers in spellings
            for path in ("/v1/jobs", "/v1/jobs/", "/v1/imports?limit=1")
        ]
    assert seen.count(200) == 10
    assert seen.count(429) == 5


def test_keys_are_compared_by_their_digests(
    start_service: Callable[..., Any],
) -> None:
    guarded = start_service(SLUICE_API_KEYS="k" * 40)

    def seconds(key: str) -> float:
        with httpx.Client(base_url=guarded.url, headers={"X-API-Key": key}) as client:
            took = []
            for _ in range(60):
                started = time.perf_counter()
                assert client.get("/v1/jobs").status_code == 401
                took.append(time.perf_counter() - started)
            return sorted(took)[20]

    nothing, nearly = seconds("x" * 40), seconds("k" * 39 + "x")
    # A comparison by characters would differ by nanoseconds: this shows no more than that a key
    # that is almost right takes no other way.
    assert 0.3 < nothing / nearly < 3


def test_the_table_of_keys_holds_digests_only(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    secret = http.post("/v1/keys", json={"name": "digest"}).json()["key"]
    [row] = database.execute("select k::text from sluice.api_key as k").fetchall()
    assert secret not in row[0]
    assert secret.removeprefix("slk_") not in row[0]
