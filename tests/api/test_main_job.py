"""The main job, end to end: three files back to back, again, mended; export and import anew."""

import csv
import io
import json
import time
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest

from tests import corpus

FILES = corpus.make()
NASTY = [
    {
        "id": "11111111-1111-4111-8111-111111111111", "email": "nasty@example.org",
        "name": 'quote " comma , line \n tab \t back \\ end', "role": "reader", "phone": "",
        "metadata": {"null": None, "n": 2.50, "ü": "数据 👍", "nested": ["x\ny", {}]},
        "created_at": "infinity", "updated_at": "2024-01-01T00:00:00.123456Z",
        "addresses": [
            {"street": 'S"1', "city": "C,1", "label": ""},
            {"street": "S2", "city": "C2", "label": None, "created_at": "-infinity"},
        ],
    },
    {
        "email": "dot@example.org", "name": "\\.", "role": "reader", "phone": "NULL",
        "external_id": "", "addresses": [],
    },
    {
        "email": "null@example.org", "name": "null", "role": "reader",
        "external_id": "\u0001\u0002 é",
    },
]  # fmt: skip


def send(http: httpx.Client, file: corpus.File) -> str:
    """Post a file without waiting; the path of its job."""
    reply = http.post(
        "/v1/imports", files={"file": (file.name, file.body)}, data={"resource": file.resource}
    )
    assert reply.status_code == 202, reply.text
    return str(reply.headers["location"])


def ended(http: httpx.Client, path: str) -> dict[str, Any]:
    """The job when it has ended."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        job: dict[str, Any] = http.get(path).json()
        if job["status"] not in ("pending", "processing"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"{path} did not end")


def verdicts(http: httpx.Client, path: str) -> Counter[corpus.Verdict]:
    """Rejected records by field and code."""
    summary = http.get(f"{path}/errors/summary").json()
    return Counter({(g["field"], g["code"]): g["records"] for g in summary["groups"]})


def places(database: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Where each row with a key lies, and which transaction wrote it."""
    return database.execute(
        "select id, xmin::text, ctid::text from app.users"
        " union all select id, xmin::text, ctid::text from app.articles order by 1"
    ).fetchall()


@pytest.fixture(scope="module")
def first(http: httpx.Client) -> list[dict[str, Any]]:
    """The three files, posted back to back without waiting."""
    paths = [send(http, file) for file in FILES]
    return [ended(http, path) for path in paths]


@pytest.mark.parametrize("n", range(3), ids=["users", "articles", "comments"])
def test_every_record_gets_its_verdict(
    http: httpx.Client, first: list[dict[str, Any]], n: int
) -> None:
    file, job = FILES[n], first[n]
    assert job["counts"] == {
        "received": file.records, "inserted": file.good, "updated": 0, "unchanged": 0,
        "rejected": file.records - file.good, "dropped": 0, "unprocessed": 0,
    }  # fmt: skip
    assert job["outcome"] == "partial"
    assert verdicts(http, f"/v1/imports/{job['id']}") == file.bad


def test_the_same_again_writes_nothing(
    http: httpx.Client, database: psycopg.Connection, first: list[dict[str, Any]]
) -> None:
    before = places(database)
    jobs = [ended(http, path) for path in [send(http, file) for file in FILES]]
    assert places(database) == before
    assert [job["counts"]["unchanged"] for job in jobs] == [f.good - f.keyless for f in FILES]
    # a comment without an id has nothing by which it could be known again
    assert [job["counts"]["inserted"] for job in jobs] == [0, 0, FILES[2].keyless]


def test_rejects_mended_and_sent_again_are_accepted(
    http: httpx.Client, first: list[dict[str, Any]]
) -> None:
    rejects = http.get(first[0]["links"]["rejects"])
    rows = list(csv.DictReader(io.StringIO(rejects.text)))
    assert len(rows) == first[0]["counts"]["rejected"]
    for n, row in enumerate(rows):
        row |= {"email": f"mended{n}@example.org", "role": "reader", "active": "true"}
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    mended = corpus.File("users", "rejects.csv", out.getvalue().encode())
    job = ended(http, send(http, mended))
    assert (job["outcome"], job["counts"]["inserted"]) == ("clean", len(rows)), job["errors"]


@pytest.fixture(scope="module")
def nasty(http: httpx.Client, first: list[dict[str, Any]]) -> None:
    """Rows with all that CSV and JSON may get wrong."""
    body = "\n".join(json.dumps(record) for record in NASTY).encode()
    job = ended(http, send(http, corpus.File("users", "nasty.ndjson", body)))
    assert job["outcome"] == "clean", job["errors"]


@pytest.mark.parametrize("form", ["csv", "ndjson", "json"])
def test_export_and_import_elsewhere_is_the_identity(
    http: httpx.Client, nasty: None, start_service: Any, form: str
) -> None:
    with httpx.Client(base_url=start_service().url, timeout=60) as other:
        for resource in ("users", "addresses", "articles", "comments"):
            query = {"resource": resource, "format": form, "order": "id"}
            if resource == "users":
                query["include"] = "addresses"
            exported = http.get("/v1/exports", params=query)
            assert exported.status_code == 200
            job = ended(
                other, send(other, corpus.File(resource, f"{resource}.{form}", exported.content))
            )
            assert job["outcome"] == "clean", job["errors"]
            # addresses came with their users already
            done = "unchanged" if resource == "addresses" else "inserted"
            assert job["counts"][done] == job["counts"]["received"] > 0
            assert other.get("/v1/exports", params=query).content == exported.content
