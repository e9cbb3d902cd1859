"""Rows out: formats, filters, compression, and downloads that break."""

import csv
import gzip
import io
import json
import time

import httpx
import psycopg
import pytest
import zstandard

from .conftest import is_problem

MANY = 200_000


@pytest.fixture(scope="module", autouse=True)
def people(database: psycopg.Connection) -> None:
    database.execute(
        "insert into app.users (email, name, role, created_at) "
        "select format('p%%s@example.org', i), repeat('Ann, \"Bob\" ', 12), 'reader', "
        "timestamptz '2026-01-01' + i * interval '1 minute' from generate_series(1, %s) as i",
        [MANY],
    )
    database.execute("update app.users set role = 'admin' where email in ('p1@example.org')")


def _get(http: httpx.Client, **query: str) -> httpx.Response:
    return http.get("/v1/exports", params={"resource": "users", **query})


def test_a_table_leaves_as_lines_by_default(http: httpx.Client) -> None:
    reply = _get(http, limit="3")
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.headers["accept-ranges"] == "none"
    assert reply.headers["content-disposition"] == 'attachment; filename="users.ndjson"'
    assert all(json.loads(line)["email"] for line in reply.text.splitlines())
    assert len(reply.text.splitlines()) == 3


def test_a_table_leaves_as_an_array(http: httpx.Client) -> None:
    reply = _get(http, format="json")
    assert reply.headers["content-type"] == "application/json"
    assert len(reply.json()) == MANY


def test_an_empty_array_is_one(http: httpx.Client) -> None:
    assert _get(http, format="json", email="nobody@example.org").json() == []


def test_fields_are_chosen_and_ordered(http: httpx.Client) -> None:
    reply = _get(http, format="csv", fields="role,email", order="-created_at", limit="1")
    assert reply.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows == [["role", "email"], ["reader", f"p{MANY}@example.org"]]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"role": "admin"}, 1),
        ({"role[in]": "admin,editor"}, 1),
        ({"role[ne]": "reader"}, 1),
        ({"created_at[lt]": "2026-01-01T00:03:00Z"}, 2),
        ({"created_before": "2026-01-01T00:03:00Z"}, 2),
        ({"createdBefore": "2026-01-01T00:03:00Z", "role": "admin"}, 1),
        ({"phone[null]": "false"}, 0),
    ],
)
def test_filters_choose_rows(http: httpx.Client, filters: dict[str, str], count: int) -> None:
    reply = _get(http, **filters)
    assert reply.status_code == 200, reply.text
    assert len(reply.text.splitlines()) == count


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"id": "seven"},
        {"created_at[gte]": "soon"},
        {"role[like]": "a%"},
        {"fields": "email,colour"},
        {"order": "colour"},
        {"include": "colours"},
        {"limit": "-1"},
        {"format": "xml"},
    ],
)
def test_what_cannot_be_asked_is_400(http: httpx.Client, query: dict[str, str]) -> None:
    is_problem(_get(http, **query), 400)


def test_a_resource_must_be_named(http: httpx.Client) -> None:
    is_problem(http.get("/v1/exports"), 400)
    is_problem(http.get("/v1/exports?resource=nope"), 400)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_the_stream_is_compressed_on_request(http: httpx.Client, coding: str) -> None:
    plain = http.get("/v1/exports?resource=users&order=id", headers={"Accept-Encoding": ""})
    assert "content-encoding" not in plain.headers
    with http.stream(
        "GET", "/v1/exports?resource=users&order=id", headers={"Accept-Encoding": coding}
    ) as reply:
        assert reply.headers["content-encoding"] == coding
        assert "Accept-Encoding" in reply.headers["vary"]
        packed = b"".join(reply.iter_raw())
    unpack = (
        gzip.decompress
        if coding == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress
    )
    assert unpack(packed) == plain.content


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_failure_under_way_breaks_the_connection(
    http: httpx.Client, database: psycopg.Connection, coding: str
) -> None:
    headers = {"Accept-Encoding": coding}
    with http.stream("GET", "/v1/exports?resource=users&format=csv", headers=headers) as reply:
        assert reply.status_code == 200
        blocks = reply.iter_raw(65536)
        next(blocks)
        ended = database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and query like 'copy%' and state = 'active'"
        ).fetchall()
        assert ended, "the export was over too soon: make it larger"
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(blocks)


def test_a_client_that_leaves_cancels_its_query(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    with http.stream("GET", "/v1/exports?resource=users&format=json") as reply:
        next(reply.iter_raw(65536))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        running = database.execute(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and query like 'copy%' and state = 'active'"
        ).fetchone()
        if running == (0,):
            return
        time.sleep(0.1)
    pytest.fail("the query still runs")
