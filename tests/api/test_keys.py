"""API keys: who may do what, how often, and as whom."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ..conftest import TOP
from .conftest import USERS, is_problem

NewKey = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def guarded(start_service: Any) -> Any:
    """A service with a key in its settings, so that every request needs one."""
    return start_service(SLUICE_API_KEYS="of-the-operator,of-an-old-client:nest")


@pytest.fixture(scope="module")
def admin(guarded: Any) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=guarded.url, headers={"X-API-Key": "of-the-operator"}, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="module")
def conn(guarded: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(guarded.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def new_key(guarded: Any, conn: psycopg.Connection) -> Iterator[NewKey]:
    """Makes a key by SQL; a client that sends it."""
    clients: list[httpx.Client] = []

    def make(**wanted: Any) -> httpx.Client:
        name = f"key {uuid.uuid4()}"
        given = "".join(f", {argument} => %s" for argument in wanted)
        row = conn.execute(
            f"select sluice.create_api_key(%s{given})".encode(), [name, *wanted.values()]
        ).fetchone()
        assert row
        headers = {"Authorization": f"Bearer {row[0]}", "X-Name": name}
        clients.append(httpx.Client(base_url=guarded.url, headers=headers, timeout=60))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def post(client: httpx.Client, **query: str) -> httpx.Response:
    return client.post(
        "/v1/imports",
        params={"resource": "users", **query},
        content=USERS,
        headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
    )


def test_without_a_key_only_the_open_pages_answer(guarded: Any) -> None:
    with httpx.Client(base_url=guarded.url) as nobody:
        for path in ("/v1/imports", "/v1/jobs", "/v1/resources", "/v1/exports?resource=users"):
            refused = nobody.get(path)
            is_problem(refused, 401)
            assert refused.headers["www-authenticate"] == 'Bearer realm="pgsluice"'
        is_problem(post(nobody), 401)
        for path in ("/health", "/healthz", "/ready", "/live", "/docs", "/openapi.json"):
            assert nobody.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "of-the-operator"},
        {"Authorization": "Bearer of-the-operator"},
        {"Authorization": "bearer  of-the-operator"},
        {"Authorization": "Token of-the-operator"},
        {"X-API-Key": "of-an-old-client"},
    ],
)
def test_a_key_of_the_settings_opens_in_every_header(guarded: Any, headers: Any) -> None:
    assert httpx.get(f"{guarded.url}/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "wrong-key"},
        {"X-API-Key": ""},
        {"X-API-Key": "of-an-old-client:nest"},
        {"X-API-Key": "of-the-operator,of-an-old-client"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic b2YtdGhlLW9wZXJhdG9y"},
        {"Authorization": "of-the-operator"},
        {"Authorization": "Bearer slk_" + "A" * 10_000},
    ],
)
def test_what_is_no_key_is_refused(guarded: Any, headers: Any) -> None:
    is_problem(httpx.get(f"{guarded.url}/v1/jobs", headers=headers), 401)


def test_a_key_may_do_what_its_scopes_say(new_key: NewKey) -> None:
    importer, exporter = new_key(scopes=["import"]), new_key(scopes=["export"])
    assert post(importer).status_code == 200
    assert exporter.get("/v1/exports", params={"resource": "users"}).status_code == 200
    for refused in (
        importer.get("/v1/exports", params={"resource": "users"}),
        post(exporter),
        exporter.get("/v1/imports"),
        importer.get("/v1/keys"),
        exporter.post("/v1/keys", json={"name": "mine"}),
    ):
        assert "this API key may" in is_problem(refused, 403)["detail"]


def test_a_key_touches_only_its_resources(new_key: NewKey, admin: httpx.Client) -> None:
    job = post(admin).json()["job_id"]
    articles = new_key(resources=["articles"])
    assert [r["name"] for r in articles.get("/v1/resources").json()] == ["articles"]
    for refused in (
        post(articles),
        articles.get("/v1/exports", params={"resource": "users"}),
        articles.get("/v1/resources/users"),
        articles.get("/v1/resources/users/template", params={"format": "csv"}),
        articles.post(
            "/v1/imports", data={"resource": "users"}, files={"file": ("users.csv", USERS)}
        ),
    ):
        assert "may not use resource 'users'" in is_problem(refused, 403)["detail"]
    # what it may not touch is not there for it
    for path in ("", "/errors", "/errors/summary", "/rejects"):
        is_problem(articles.get(f"/v1/imports/{job}{path}"), 404)
    assert articles.get("/v1/jobs").json()["jobs"] == []
    assert articles.get("/v1/exports", params={"resource": "articles"}).status_code == 200


def test_a_rate_is_kept_and_told(new_key: NewKey) -> None:
    client = new_key(rate_limit=3)
    replies = [client.get("/v1/resources") for _ in range(5)]
    if replies[-1].status_code != 429:
        # the minute ended in between
        replies = [client.get("/v1/resources") for _ in range(5)]
    refused = replies[-1]
    is_problem(refused, 429)
    assert refused.headers["ratelimit-limit"] == "3"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert replies[0].headers["ratelimit-remaining"] in ("0", "1", "2")


def test_a_revoked_expired_or_rotated_key_is_none(
    new_key: NewKey, conn: psycopg.Connection, admin: httpx.Client
) -> None:
    client = new_key()
    name = client.headers["X-Name"]
    assert client.get("/v1/jobs").status_code == 200
    rotated = admin.post(f"/v1/keys/{name}/rotate").json()["key"]
    assert client.get("/v1/jobs").status_code == 200, "the old one works for a day"
    conn.execute("update sluice.api_key set old_until = now() where name = %s", [name])
    is_problem(client.get("/v1/jobs"), 401)
    client.headers["Authorization"] = f"Bearer {rotated}"
    assert client.get("/v1/jobs").status_code == 200
    conn.execute("update sluice.api_key set expires_at = now() where name = %s", [name])
    is_problem(client.get("/v1/jobs"), 401)
    conn.execute("update sluice.api_key set expires_at = null where name = %s", [name])
    assert admin.delete(f"/v1/keys/{name}").status_code == 204
    is_problem(client.get("/v1/jobs"), 401)
    is_problem(admin.post(f"/v1/keys/{name}/rotate"), 404)


def test_keys_are_made_and_listed_over_http(admin: httpx.Client, guarded: Any) -> None:
    made = admin.post("/v1/keys", json={"name": "by http", "scopes": ["export"]})
    assert made.status_code == 201
    key = made.json()["key"]
    assert httpx.get(f"{guarded.url}/v1/jobs", headers={"X-API-Key": key}).status_code == 200
    listed = admin.get("/v1/keys")
    entry = next(k for k in listed.json()["keys"] if k["name"] == "by http")
    assert entry["state"] == "active"
    assert entry["last_used_at"]
    assert key not in listed.text
    is_problem(admin.post("/v1/keys", json={"name": "by http"}), 409)
    for wrong in (
        {},
        {"name": ""},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "resources": ["nothing"]},
        {"name": "x", "role": "nobody_at_all"},
        {"name": "x", "expires_at": "2020-01-01"},
        {"name": "x", "surprise": 1},
        [],
    ):
        is_problem(admin.post("/v1/keys", json=wrong), 400)


def test_limits_of_a_key_are_changed_over_http(new_key: NewKey, admin: httpx.Client) -> None:
    client = new_key(rate_limit=50, max_uploads=3)
    path = f"/v1/keys/{client.headers['X-Name']}"
    changed = admin.patch(
        path, json={"rate_limit": 70, "max_uploads": None, "expires_at": "2100-01-01T00:00:00Z"}
    )
    assert changed.status_code == 200
    listed = admin.get("/v1/keys").json()["keys"]
    assert changed.json() == next(k for k in listed if k["name"] == client.headers["X-Name"])
    assert {
        name: changed.json()[name]
        for name in ("rate_limit", "max_uploads", "max_bytes_per_day", "expires_at", "state")
    } == {
        "rate_limit": 70, "max_uploads": None, "max_bytes_per_day": None,
        "expires_at": "2100-01-01T00:00:00.000000Z", "state": "active",
    }  # fmt: skip
    assert client.get("/v1/jobs").headers["ratelimit-limit"] == "70"
    assert admin.patch(path, json={}).json()["rate_limit"] == 70
    for wrong in (
        {"rate_limit": 0},
        {"max_bytes_per_day": "much"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2100-01-01"},
        {"scopes": ["admin"]},
        [],
    ):
        is_problem(admin.patch(path, json=wrong), 400)
    is_problem(client.patch(path, json={"rate_limit": None}), 403)
    is_problem(admin.patch("/v1/keys/nobody", json={}), 404)
    admin.delete(path)
    is_problem(admin.patch(path, json={"expires_at": None}), 404)


def test_an_expired_key_is_good_again_once_its_expiry_is_moved(
    new_key: NewKey, conn: psycopg.Connection, admin: httpx.Client
) -> None:
    client = new_key()
    name = client.headers["X-Name"]
    conn.execute("update sluice.api_key set expires_at = now() where name = %s", [name])
    assert admin.patch(f"/v1/keys/{name}", json={"rate_limit": 60}).json()["state"] == "expired"
    is_problem(client.get("/v1/jobs"), 401)
    assert admin.patch(f"/v1/keys/{name}", json={"expires_at": None}).json()["state"] == "active"
    assert client.get("/v1/jobs").status_code == 200


def test_sql_changes_limits_only(new_key: NewKey, conn: psycopg.Connection) -> None:
    name = new_key().headers["X-Name"]
    for changes, why in (
        ('{"scopes": "{admin}"}', "'scopes' of a key cannot be changed"),
        ('{"max_uploads": 1e12}', "a limit is not what it should be"),
        ('{"expires_at": "soon"}', "a limit is not what it should be"),
        ("[]", "changes must be an object"),
    ):
        with pytest.raises(psycopg.Error, match=why) as refused:
            conn.execute("select sluice.update_api_key(%s, %s)", [name, changes])
        assert refused.value.sqlstate == "IO400"


def test_the_same_idempotency_key_of_two_callers_is_two(new_key: NewKey) -> None:
    one, other = new_key(), new_key()
    for client in (one, other):
        client.headers["Idempotency-Key"] = "the same"
    first, second = post(one), post(other)
    assert first.json()["job_id"] != second.json()["job_id"]
    assert post(one).json()["job_id"] == first.json()["job_id"]


@pytest.fixture
def tenant(conn: psycopg.Connection) -> Iterator[str]:
    """A table whose rows belong to tenants, and a role that is one of them."""
    conn.execute(
        """
        drop role if exists test_tenant_a;
        create role test_tenant_a nologin;
        create table public.note (id integer primary key, tenant text not null, body text unique);
        alter table public.note enable row level security;
        create policy own on public.note using (tenant = 'a') with check (tenant = 'a');
        grant select, insert, update on public.note to test_tenant_a;
        insert into public.note values (1, 'a', 'ours'), (2, 'b', 'theirs'), (3, 'a', 'ours too');
        """
    )
    conn.execute("select sluice.register('notes', 'public.note')")
    yield "test_tenant_a"
    conn.execute("select sluice.unregister('notes')")
    conn.execute("drop table public.note; drop owned by test_tenant_a; drop role test_tenant_a")


def load(client: httpx.Client, text: str, **query: str) -> dict[str, Any]:
    reply = client.post(
        "/v1/imports",
        params={"resource": "notes", **query},
        content=text.encode(),
        headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
    )
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_a_role_exports_exactly_its_rows(tenant: str, new_key: NewKey) -> None:
    client = new_key(role=tenant)
    rows = client.get("/v1/exports", params={"resource": "notes", "format": "csv"}).text
    assert sorted(rows.splitlines()) == ["1,a,ours", "3,a,ours too", "id,tenant,body"]


def test_a_role_writes_its_rows_and_learns_nothing_of_others(
    tenant: str, new_key: NewKey, conn: psycopg.Connection
) -> None:
    client = new_key(role=tenant)
    job = load(
        client,
        "id,tenant,body\n1,a,ours\n3,a,changed\n4,a,new\n2,b,mine\n5,a,theirs\n6,b,planted\n",
    )
    assert job["counts"] == {
        "received": 6, "inserted": 1, "updated": 1, "unchanged": 1, "rejected": 3, "dropped": 0,
        "unprocessed": 0,
    }  # fmt: skip
    for error in job["errors"]:
        assert error["code"] == "write"
        assert error["constraint"] is None
        assert error["value"] is None
    assert conn.execute("select id, tenant, body from note order by id").fetchall() == [
        (1, "a", "ours"), (2, "b", "theirs"), (3, "a", "changed"), (4, "a", "new"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["insert", "update"])
def test_whether_a_hidden_row_exists_is_not_told_by_the_mode(
    tenant: str, new_key: NewKey, mode: str
) -> None:
    job = load(new_key(role=tenant), "id,tenant,body\n2,a,x\n", mode=mode)
    assert [e["code"] for e in job["errors"]] == ["write"]


def test_a_dry_run_shows_nothing_of_hidden_rows(tenant: str, new_key: NewKey) -> None:
    job = load(new_key(role=tenant), "id,tenant,body\n2,a,x\n3,a,changed\n", dry_run="true")
    assert [s["before"]["body"] for s in job["sample"]] == ["ours too"]
    assert "theirs" not in str(job)


def test_a_role_without_the_privilege_is_told_before_anything_is_written(
    tenant: str, new_key: NewKey, conn: psycopg.Connection
) -> None:
    conn.execute("revoke insert, update on note from test_tenant_a")
    conn.execute("grant update (body) on note to test_tenant_a")
    client = new_key(role=tenant)
    refused = client.post(
        "/v1/imports",
        params={"resource": "notes"},
        content=b"id,tenant,body\n9,a,x\n",
        headers={"Content-Type": "text/csv"},
    )
    assert "may not insert" in is_problem(refused, 403)["detail"]
    assert load(client, "id,body\n3,x\n", mode="update")["counts"]["updated"] == 1


def test_the_command_makes_the_first_key(start_service: Any) -> None:
    service = start_service()
    assert httpx.get(f"{service.url}/v1/jobs").status_code == 200

    def key(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pgsluice", "key", *arguments],
            env={"DATABASE_URL": service.dsn, "PYTHONPATH": str(TOP / "src"), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    made = key("create", "first", "--scopes", "export", "--days", "2")
    is_problem(httpx.get(f"{service.url}/v1/jobs"), 401)
    assert httpx.get(f"{service.url}/v1/jobs", headers={"X-API-Key": made}).status_code == 200
    assert "first" in key("list")
    assert "30 requests a minute, 2 uploads" in key(
        "update", "first", "--rate-limit", "30", "--max-uploads", "2", "--days", "9"
    )
    changed = json.loads(
        key("update", "first", "--json", "--days", "none", "--max-uploads", "none")
    )
    assert (changed["rate_limit"], changed["max_uploads"], changed["expires_at"]) == (
        30,
        None,
        None,
    )
    rotated = key("rotate", "first", "--overlap", "0")
    is_problem(httpx.get(f"{service.url}/v1/jobs", headers={"X-API-Key": made}), 401)
    assert httpx.get(f"{service.url}/v1/jobs", headers={"X-API-Key": rotated}).status_code == 200
    key("revoke", "first")
    is_problem(httpx.get(f"{service.url}/v1/jobs", headers={"X-API-Key": rotated}), 401)


@pytest.fixture
def editor(conn: psycopg.Connection) -> Iterator[str]:
    """A role that may write users and their addresses, of which it may not see all."""
    conn.execute(
        """
        drop role if exists test_editor;
        create role test_editor nologin;
        grant usage on schema app to test_editor;
        grant execute on all functions in schema app to test_editor;
        grant select, insert, update, delete on app.users, app.addresses to test_editor;
        alter table app.addresses enable row level security;
        """
    )
    yield "test_editor"
    conn.execute(
        "alter table app.addresses disable row level security;"
        "drop owned by test_editor; drop role test_editor"
    )


@pytest.mark.parametrize("unknown", ["reject", "ignore"])
def test_only_records_with_lists_that_the_role_may_not_replace_are_rejected(
    editor: str, new_key: NewKey, conn: psycopg.Connection, unknown: str
) -> None:
    client, mark = new_key(role=editor), f"{unknown}@list.org"

    def send(content: bytes, media_type: str) -> httpx.Response:
        return client.post(
            "/v1/imports",
            params={"resource": "users", "unknown_fields": unknown},
            content=content,
            headers={"Content-Type": media_type, "Prefer": "wait=30"},
        )

    records = (
        b'{"email": "with-%s", "name": "L", "role": "reader", "Addresses": []}\n'
        b'{"email": "%s", "name": "L", "role": "reader"}\n'
    ) % (mark.encode(), mark.encode())
    job = send(records, "application/x-ndjson").json()
    assert job["counts"]["inserted"] == job["counts"]["rejected"] == 1, job
    [error] = job["errors"]
    assert (error["row"], error["field"], error["code"]) == (1, "addresses", "write")
    assert error["message"] == "may not be written with this API key"
    assert conn.execute("select 1 from app.users where email = %s", [mark]).fetchone()
    table = f'email,name,role,addresses\n{mark},L,reader,"[]"\n'.encode()
    assert "may not replace the addresses" in is_problem(send(table, "text/csv"), 403)["detail"]
    conn.execute("alter table app.addresses disable row level security")
    counts = send(records, "application/x-ndjson").json()["counts"]
    assert (counts["inserted"], counts["unchanged"]) == (1, 1)
