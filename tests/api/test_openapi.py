"""The OpenAPI document is complete, and what it gives as examples is true."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest

from .conftest import USERS

ID = "0199f3a1-6c52-7d10-9a3e-5f0c2b7e1d44"
CSV = {"Content-Type": "text/csv"}
REFUSALS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("get", "/v1/imports/{job_id}", 404, {}),
    ("get", "/v1/imports/{job_id}/errors", 404, {}),
    ("get", "/v1/imports/{job_id}/errors/summary", 400, {"params": {"zz": "1"}}),
    ("get", "/v1/exports/{job_id}", 404, {}),
    ("post", "/v1/exports/{job_id}/cancel", 404, {}),
    ("get", "/v1/exports/{job_id}/download", 404, {}),
    ("get", "/v1/jobs", 400, {"params": {"cursor": "x"}}),
    ("get", "/v1/resources/{name}", 404, {}),
    ("get", "/v1/resources", 400, {"params": {"zz": "1"}}),
    ("get", "/v1/schedules/{name}", 404, {}),
    ("delete", "/v1/keys/{name}", 404, {}),
    ("get", "/v1/exports", 400, {"params": {"resource": "user"}}),
    ("post", "/v1/exports", 400, {"json": {"resource": "user"}}),
    (
        "post",
        "/v1/imports",
        400,
        {"params": {"resource": "user"}, "content": USERS, "headers": CSV},
    ),
    (
        "post",
        "/v1/imports",
        415,
        {
            "params": {"resource": "users"},
            "content": USERS,
            "headers": CSV | {"Content-Encoding": "br"},
        },
    ),
    (
        "post",
        "/v1/schedules",
        400,
        {
            "json": {
                "name": "nightly",
                "cron": "often",
                "kind": "export",
                "request": {"resource": "users"},
            }
        },
    ),
    ("post", "/v1/keys", 400, {"json": {"name": "a", "resources": ["user"]}}),
    ("get", "/v1/jobs", 406, {"headers": {"Accept-Profile": "other"}}),
    ("post", "/v1/exports", 413, {"content": b" " * (1024 * 1024 + 1)}),
]
# Refusals of a job, whose id the example has another of.
OF_A_JOB: list[tuple[str, str, int]] = [
    ("post", "/v1/imports/{job_id}/cancel", 409),
    ("post", "/v1/imports/{job_id}/retry", 409),
    ("get", "/v1/imports/{job_id}/results", 409),
    ("post", "/v1/jobs/{job_id}/deliveries", 409),
]


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _resolved(document: dict[str, Any], thing: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in thing:
        return thing
    for name in thing["$ref"].removeprefix("#/").split("/"):
        document = document[name]
    return document


def _reply(document: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    return _resolved(document, document["paths"][path][method]["responses"][str(status)])


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, method, operation in _operations(document):
        for status, reply in operation["responses"].items():
            for media in _resolved(document, reply).get("content", {}).values():
                yield f"{method} {path} {status}", media
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} body {kind}", media


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for where, media in _bodies(document):
        examples = [media["example"]] if "example" in media else []
        examples += [one["value"] for one in media.get("examples", {}).values()]
        examples += media["schema"].get("examples", [])
        for example in examples:
            errors = [str(e) for e in _validator(document, media["schema"]).iter_errors(example)]
            assert not errors, (where, errors)
            checked += 1
    assert checked > 200


def test_every_refusal_has_an_example_that_tells_its_own_status(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        if method == "head":
            continue
        for status, reply in operation["responses"].items():
            if int(status) < 400:
                continue
            for kind, media in _resolved(document, reply)["content"].items():
                assert media["example"], (method, path, status)
                if kind == "application/problem+json":
                    assert media["example"]["status"] == int(status), (method, path)
                    assert media["example"]["error"] == media["example"]["detail"]


def test_every_link_leads_to_an_operation_and_its_parameters(document: dict[str, Any]) -> None:
    known = {
        operation["operationId"]: {one["name"] for one in operation["parameters"]}
        for _, _, operation in _operations(document)
    }
    assert len(known) == len(list(_operations(document)))
    links = 0
    for _, _, operation in _operations(document):
        for reply in operation["responses"].values():
            for link in reply.get("links", {}).values():
                assert set(link["parameters"]) <= known[link["operationId"]]
                links += 1
    assert links > 50


def test_every_tag_and_parameter_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, method, operation in _operations(document):
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        for one in operation["parameters"]:
            assert one["description"], (method, path, one["name"])
            assert one["schema"], (method, path, one["name"])


@pytest.mark.parametrize(("method", "path", "status", "request_"), REFUSALS)
def test_a_refusal_says_what_its_example_says(
    http: httpx.Client,
    document: dict[str, Any],
    method: str,
    path: str,
    status: int,
    request_: dict[str, Any],
) -> None:
    place = path.replace("{job_id}", ID).replace("{name}", "nightly")
    reply = http.request(method, place, **request_)
    assert reply.status_code == status, reply.text
    media = _reply(document, path, method, status)["content"]["application/problem+json"]
    expected = media["example"]
    if "components" not in str(document["paths"][path][method]["responses"][str(status)]):
        assert reply.json() == expected
    else:
        assert reply.json()["detail"] == expected["detail"]


@pytest.mark.parametrize(("method", "path", "status"), OF_A_JOB)
def test_a_refusal_of_a_job_says_what_its_example_says(
    http: httpx.Client,
    document: dict[str, Any],
    method: str,
    path: str,
    status: int,
) -> None:
    # other users for each test: none may meet those of another
    body = USERS.replace(b"@", f".{uuid4().hex}@".encode())
    made = http.post(
        "/v1/imports?resource=users", content=body, headers=CSV | {"Prefer": "wait=30"}
    ).json()
    assert made["outcome"] == "clean", made
    reply = http.request(method, path.replace("{job_id}", made["job_id"]))
    assert reply.status_code == status, reply.text
    media = _reply(document, path, method, status)["content"]["application/problem+json"]
    assert reply.json()["detail"] == media["example"]["detail"].replace(ID, made["job_id"])


def test_an_unchanged_job_is_304_and_head_has_no_body(http: httpx.Client) -> None:
    made = http.post(
        "/v1/imports?resource=users", content=USERS, headers=CSV | {"Prefer": "wait=30"}
    )
    assert made.headers["preference-applied"] == "wait=30"
    place = made.headers["location"]
    reply = http.get(place)
    again = http.get(place, headers={"If-None-Match": reply.headers["etag"].removeprefix("W/")})
    assert (again.status_code, again.content) == (304, b"")
    head = http.head(place)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == reply.headers["etag"]


def test_a_replay_has_the_status_of_a_first_reply_that_was_waited_for(http: httpx.Client) -> None:
    headers = CSV | {"Idempotency-Key": uuid4().hex}
    first, again = (
        http.post("/v1/imports?resource=users", content=USERS, headers=headers | {"Prefer": prefer})
        for prefer in ("wait=30", "return=minimal")
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json() | {"duplicate": True}


def test_head_of_a_stream_ends_at_once(http: httpx.Client) -> None:
    head = http.head("/v1/exports?resource=users&format=csv")
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/csv")
    assert head.content == b""


@pytest.mark.parametrize("path", ["/v1/schedules/a", "/v1/keys", f"/v1/exports/{ID}"])
def test_options_and_405_name_all_methods_of_a_path(
    http: httpx.Client, document: dict[str, Any], path: str
) -> None:
    template = path.replace("/a", "/{name}").replace(ID, "{job_id}")
    known = {method.upper() for method in document["paths"][template]} | {"HEAD", "OPTIONS"}
    for method, status in (("OPTIONS", 204), ("PATCH", 405)):
        reply = http.request(method, path)
        assert reply.status_code == status
        assert set(re.split(r",\s*", reply.headers["allow"])) == known


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
def test_a_document_is_compressed_as_the_client_likes(http: httpx.Client, coding: str) -> None:
    reply = http.get("/v1/resources", headers={"Accept-Encoding": coding})
    assert reply.headers.get("content-encoding", "identity") == coding
    assert "Accept-Encoding" in reply.headers["vary"]
    assert {resource["name"] for resource in reply.json()} >= {"users"}
    small = http.get("/live", headers={"Accept-Encoding": coding})
    assert "content-encoding" not in small.headers


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/csv", "text/csv"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/x-ndjson"),
        ("text/csv;q=0.5, */*;q=0.1", "text/csv"),
        ("text/html", "application/x-ndjson"),
    ],
)
def test_accept_chooses_the_form_of_a_stream(
    http: httpx.Client, accept: str, expected: str
) -> None:
    reply = http.get("/v1/exports?resource=users", headers={"Accept": accept})
    assert reply.headers["content-type"].partition(";")[0] == expected
    assert "Accept" in reply.headers["vary"].split(", ")


@pytest.mark.parametrize(("path", "target"), [("/api/docs", "/docs"), ("/admin/queues", "/#/jobs")])
def test_old_places_lead_to_the_page(http: httpx.Client, path: str, target: str) -> None:
    reply = http.get(path)
    assert (reply.status_code, reply.headers["location"]) == (302, target)


def test_the_page_runs_no_script_but_its_own(http: httpx.Client) -> None:
    reply = http.get("/docs")
    policy = reply.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "'sha256-" in policy
    assert "Authorize" in reply.text
