"""Rejects come back as they were sent, to be mended and posted again."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson", "json": "application/json"}

Table = list[dict[str, str]]


@pytest.fixture
def post(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Posts users and waits for the finished job."""

    def send(body: bytes, kind: str, **options: str) -> dict[str, Any]:
        reply = http.post(
            "/v1/imports",
            params={"resource": "users", **options},
            content=body,
            headers={"Content-Type": TYPES[kind], "Prefer": "wait=30"},
        )
        assert reply.status_code == 200, reply.text
        job: dict[str, Any] = reply.json()
        assert job["status"] == "completed", job
        return job

    return send


@pytest.fixture
def rejects(http: httpx.Client) -> Callable[[dict[str, Any]], str]:
    """The rejects of a job as text."""

    def get(job: dict[str, Any]) -> str:
        reply = http.get(job["links"]["rejects"])
        assert reply.status_code == 200, reply.text
        return reply.content.decode()

    return get


def _table(text: str, delimiter: str) -> Table:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def _file(table: Table, delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(table[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue().encode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_with_malformed_records_can_be_mended(
    post: Any, rejects: Any, delimiter: str
) -> None:
    tag = uuid4().hex[:8]
    good = [f"{tag}{n}@example.org" for n in range(6)]
    rows = [
        f"{good[0]},Good,reader",
        "nobody,No Mail,reader",
        f'{good[2]},"No end,reader',
        f"{good[3]},Short",
        f'{good[4]},In"side,reader',
        f"{good[5]},\0,reader",
    ]
    sent = "\n".join(["email,name,role", *rows]).replace(",", delimiter) + "\n"
    first = post(sent.encode() + b"\xff\xfe\n", "csv")
    assert (first["counts"]["inserted"], first["counts"]["rejected"]) == (1, 6)

    table = _table(rejects(first), delimiter)
    assert list(table[0]) == ["email", "name", "role", "_raw", "_row", "_errors"]
    assert [row["_row"] for row in table] == ["2", "3", "4", "5", "6", "7"]
    assert table[1]["_raw"] == rows[2].replace(",", delimiter)
    assert all(json.loads(row["_errors"])[0]["message"] for row in table)

    unmended = post(_file(table, delimiter), "csv", parent=first["job_id"])
    assert unmended["counts"]["rejected"] == 6
    assert {e["code"] for e in unmended["errors"] if e["row"] > 1} == {"malformed"}

    for number, row in enumerate(table, 1):
        email = f"{tag}{number}@example.org"
        row.update(email=email, name="Mended", role="reader", _raw="")
    second = post(_file(table, delimiter), "csv", parent=first["job_id"])
    assert (second["counts"]["inserted"], second["counts"]["rejected"]) == (6, 0)
    assert second["parent_job_id"] == first["job_id"]


def test_rejects_of_rejects_have_one_set_of_marks(post: Any, rejects: Any) -> None:
    first = post(b"email,name,role\nnobody,A,reader\nno one\n", "csv")
    second = post(rejects(first).encode(), "csv", parent=first["job_id"])
    table = _table(rejects(second), ",")
    assert list(table[0]) == ["email", "name", "role", "_raw", "_row", "_errors"]
    assert [row["_row"] for row in table] == ["1", "2"]
    assert table[1]["_raw"] == "no one"


def test_a_wide_csv_gives_its_rejects_back(post: Any, rejects: Any) -> None:
    extra = [f"x{number}" for number in range(997)]
    header = ",".join(["email", "name", "role", *extra])
    email = f"{uuid4().hex}@example.org"
    body = f'{header}\nnobody,"a, ""b""",reader,{",".join(extra)}\nshort\n'
    first = post(body.encode(), "csv", unknown_fields="ignore")
    table = _table(rejects(first), ",")
    assert table[0]["name"] == 'a, "b"'
    assert table[0]["x996"] == "x996"
    assert table[1]["_raw"] == "short"
    mended = [{**table[0], "email": email}]
    again = post(_file(mended, ","), "csv", unknown_fields="ignore", parent=first["job_id"])
    assert again["counts"]["inserted"] == 1


@pytest.mark.parametrize("kind", ["ndjson", "json"])
def test_json_with_malformed_records_can_be_mended(post: Any, rejects: Any, kind: str) -> None:
    tag = uuid4().hex[:8]
    records = [
        f'{{"email": "{tag}0@example.org", "name": "Good", "role": "reader"}}',
        '{"email": "nobody", "name": "é\\n", "role": "reader", "metadata": {"n": 1.10}}',
        '{"email": "x", "name": NaN}',
        "[1, 2]",
        r'{"email": "y", "name": "\u0000", "role": "reader"}',
        "[" * 1001 + "]" * 1001,
    ]
    sent = "\n".join(records) if kind == "ndjson" else "[" + ",\n".join(records) + "]"
    first = post(sent.encode(), kind)
    assert (first["counts"]["inserted"], first["counts"]["rejected"]) == (1, 5)
    assert len(first["errors"]) == 5

    text = rejects(first)
    found = json.loads(text) if kind == "json" else [json.loads(t) for t in text.splitlines()]
    assert [record["_row"] for record in found] == [2, 3, 4, 5, 6]
    assert "1.10" in text
    assert [record.get("_raw") for record in found[1:]] == records[2:]

    unmended = post(text.encode(), kind, parent=first["job_id"])
    assert unmended["counts"]["rejected"] == 5
    assert {error["code"] for error in unmended["errors"] if error["row"] > 1} == {"malformed"}

    mended = [
        {"email": f"{tag}{number}@example.org", "name": "Mended", "role": "reader"}
        | {name: record[name] for name in ("metadata", "_row", "_errors") if name in record}
        for number, record in enumerate(found, 1)
    ]
    body = json.dumps(mended) if kind == "json" else "\n".join(map(json.dumps, mended))
    second = post(body.encode(), kind, parent=first["job_id"])
    assert (second["counts"]["inserted"], second["counts"]["rejected"]) == (5, 0)
