"""SQL in every parameter: refused or taken as text, and nothing changes."""

from collections.abc import Iterator

import httpx
import psycopg
import pytest

EVIL = [
    "users'; drop table app.users; --",
    'users"; drop table app.users; --',
    "x') or 1=1 --",
    "$$; drop schema sluice cascade; $$",
    "\\'; select pg_sleep(10); --",
    '{"a": "b\'); drop table app.users; --"}',
]
IMPORT = [
    "resource",
    "format",
    "mode",
    "match",
    "on_duplicate",
    "unknown_fields",
    "mapping",
    "defaults",
    "identity",
    "results",
    "null",
    "delimiter",
    "encoding",
    "trim",
    "date_order",
    "decimal",
    "atomic",
    "max_errors",
    "max_error_ratio",
    "dry_run",
    "priority",
    "parent",
]
EXPORT = [
    "resource",
    "format",
    "fields",
    "order",
    "limit",
    "include",
    "created_after",
    "created_before",
    "role",
    "role[in]",
    "id[gt]",
]
USERS = b"email,name,role\nann@example.org,Ann,reader\n"


@pytest.fixture(autouse=True)
def unchanged(database: psycopg.Connection) -> Iterator[None]:
    def look() -> list[tuple[object, ...]]:
        return database.execute(
            "select c.oid::regclass::text, c.relnatts from pg_class as c "
            "where c.relnamespace in ('app'::regnamespace, 'sluice'::regnamespace) order by 1"
        ).fetchall()

    before = look()
    yield
    assert look() == before


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("name", IMPORT)
def test_an_import_takes_no_sql(http: httpx.Client, name: str, text: str) -> None:
    query = {"resource": "users", "dry_run": "true", name: text}
    reply = http.post(
        "/v1/imports", params=query, content=USERS, headers={"Content-Type": "text/csv"}
    )
    # A null marker may be any text.
    assert 400 <= reply.status_code < 500 or name == "null", reply.text


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("name", EXPORT)
def test_an_export_takes_no_sql(http: httpx.Client, name: str, text: str) -> None:
    reply = http.get("/v1/exports", params={"resource": "users", name: text})
    if name in ("role", "role[in]"):
        assert (reply.status_code, reply.text) == (200, "")
    else:
        assert 400 <= reply.status_code < 500, reply.text


@pytest.mark.parametrize("text", EVIL)
def test_a_name_of_a_filter_or_header_is_no_sql(http: httpx.Client, text: str) -> None:
    reply = http.get("/v1/exports", params={"resource": "users", text: "1"})
    assert reply.status_code == 400, reply.text
    name = '"' + text.replace('"', '""') + '"'
    reply = http.post(
        "/v1/imports?resource=users",
        content=f"email,{name}\nann@example.org,1\n".encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert reply.status_code == 400, reply.text


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("name", ["status", "resource", "cursor", "limit"])
def test_a_list_takes_no_sql(http: httpx.Client, name: str, text: str) -> None:
    reply = http.get("/v1/imports", params={name: text})
    assert reply.status_code in (200, 400, 404), reply.text
    if reply.status_code == 200:
        assert reply.json()["jobs"] == []


@pytest.mark.parametrize("text", EVIL)
def test_a_key_is_only_text(http: httpx.Client, text: str) -> None:
    reply = http.post(
        "/v1/imports?resource=users&dry_run=true",
        content=USERS,
        headers={"Content-Type": "text/csv", "Idempotency-Key": text},
    )
    assert reply.status_code in (202, 400, 422), reply.text
