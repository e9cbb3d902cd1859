"""Two workers beside a service without one, all on one database."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from ..conftest import TOP, stop
from .conftest import House, one, users

KIND = {"csv": "text/csv", "ndjson": "application/x-ndjson", "json": "application/json"}


@pytest.fixture
def workers(house: House) -> Iterator[House]:
    """A service without a worker, and two workers."""
    house.open("--no-worker")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICE_", "PG"))}
    environ = {**kept, "PYTHONPATH": str(TOP / "src"), "DATABASE_URL": house.dsn}
    command = [sys.executable, "-m", "pgsluice", "worker"]
    started = [
        subprocess.Popen(command, cwd=house.cwd, env=environ, text=True, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "working\n"
    yield house
    assert [stop(process) for process in started] == [0, 0]


def test_twenty_small_imports_at_once(workers: House, conn: psycopg.Connection) -> None:
    author = "11111111-1111-4111-8111-111111111111"
    conn.execute(
        "insert into app.users (id, email, name, role) values (%s, 'a@example.org', 'A', 'author')",
        (author,),
    )

    def post(number: int) -> str:
        form = ("csv", "ndjson", "json")[number % 3]
        resource = "articles" if number % 4 == 3 else "users"
        reply = httpx.post(
            f"{workers.url}/v1/imports",
            params={"resource": resource, "format": form},
            content=_articles(number, form, author)
            if resource == "articles"
            else _users(number, form),
            headers={"Content-Type": KIND[form]},
            timeout=60,
        )
        assert reply.status_code == 202, reply.text
        return str(reply.json()["job_id"])

    with ThreadPoolExecutor(20) as pool:
        jobs = [workers.ended(job_id) for job_id in pool.map(post, range(20))]
    assert [job["status"] for job in jobs] == ["completed"] * 20
    assert [job["counts"]["inserted"] for job in jobs] == [99] * 20
    assert [job["counts"]["rejected"] for job in jobs] == [1] * 20
    assert one(conn, "select count(*) from app.users") == 1 + 15 * 99
    assert one(conn, "select count(*) from app.articles") == 5 * 99


def _users(number: int, form: str) -> bytes:
    text = users(number * 100, 100)
    names, *rows = (line.split(",") for line in text.decode().splitlines())
    return (
        text
        if form == "csv"
        else _objects([dict(zip(names, row, strict=True)) for row in rows], form)
    )


def _articles(number: int, form: str, author: str) -> bytes:
    objects = [
        {
            "slug": f"Not a slug {n}" if n == 99 else f"slug-{number}-{n}",
            "title": "T",
            "body": "one two three four five six seven eight nine ten",
            "author_id": author,
            "status": "draft",
        }
        for n in range(100)
    ]
    if form == "csv":
        lines = [objects[0].keys(), *(row.values() for row in objects)]
        return "\n".join(",".join(line) for line in lines).encode()
    return _objects(objects, form)


def _objects(objects: list[dict[str, str]], form: str) -> bytes:
    if form == "json":
        return json.dumps(objects).encode()
    return "\n".join(json.dumps(row) for row in objects).encode()
