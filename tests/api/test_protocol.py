"""What every reply keeps to."""

import re
from typing import Any
from uuid import UUID

import httpx
import pytest

from .conftest import is_problem


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ready", "/live"])
def test_it_tells_that_it_is_well(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


def test_a_request_id_is_made_when_none_was_sent(http: httpx.Client) -> None:
    UUID(http.get("/live").headers["x-request-id"])


@pytest.mark.parametrize("path", ["/live", "/nothing", "/v1/imports/x"])
def test_a_valid_request_id_comes_back_also_with_refusals(http: httpx.Client, path: str) -> None:
    reply = http.get(path, headers={"X-Request-Id": "abc-1"})
    assert reply.headers["x-request-id"] == "abc-1"


def test_an_odd_request_id_is_replaced(http: httpx.Client) -> None:
    reply = http.get("/live", headers={"X-Request-Id": "a b" + "c" * 200})
    UUID(reply.headers["x-request-id"])


def test_an_unknown_page_is_a_problem(http: httpx.Client) -> None:
    assert is_problem(http.get("/v1/nothing"), 404)["instance"] == "/v1/nothing"


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(http: httpx.Client) -> None:
    reply = http.delete("/v1/imports")
    is_problem(reply, 405)
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["", "/errors", "/errors/summary", "/rejects"])
@pytest.mark.parametrize("job", ["abc", "%27%3B--", "0199f3a1-6c52-7d10-9a3e-5f0c2b7e1d44"])
def test_a_job_that_does_not_exist_is_404(http: httpx.Client, job: str, path: str) -> None:
    is_problem(http.get(f"/v1/imports/{job}{path}"), 404)


@pytest.mark.parametrize("path", ["", "/template"])
def test_a_resource_that_does_not_exist_is_404(http: httpx.Client, path: str) -> None:
    is_problem(http.get(f"/v1/resources/nope{path}"), 404)


def test_resources_are_listed_and_described(http: httpx.Client) -> None:
    assert "users" in http.get("/v1/resources").text
    assert "email" in http.get("/v1/resources/users").text


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?format=schema", {}), ("", {"Accept": "application/schema+json"})],
)
def test_a_resource_is_also_a_json_schema(
    http: httpx.Client, query: str, headers: dict[str, str]
) -> None:
    reply = http.get(f"/v1/resources/users{query}", headers=headers)
    assert reply.headers["content-type"] == "application/schema+json"
    assert reply.json()["type"] == "object"


def test_a_template_has_a_header_and_a_row(http: httpx.Client) -> None:
    reply = http.get("/v1/resources/users/template?format=csv")
    assert reply.headers["content-type"].startswith("text/csv")
    assert len(reply.text.splitlines()) == 2


def test_an_unchanged_document_is_304(http: httpx.Client) -> None:
    tag = http.get("/v1/resources/users").headers["etag"]
    assert tag.startswith('W/"')
    again = http.get("/v1/resources/users", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "colour=red", "resource=%00", "a=%ff"],
)
def test_a_parameter_that_means_nothing_is_400(http: httpx.Client, query: str) -> None:
    is_problem(http.get(f"/v1/imports?{query}"), 400)


def test_a_mistyped_parameter_is_told_the_nearest_name(http: httpx.Client) -> None:
    assert "status" in is_problem(http.get("/v1/imports?statsu=failed"), 400)["detail"]


def test_the_openapi_document_names_every_route(http: httpx.Client) -> None:
    document: dict[str, Any] = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {
        "/v1/imports",
        "/v1/jobs",
        "/v1/imports/{job_id}",
        "/v1/imports/{job_id}/errors",
        "/v1/imports/{job_id}/errors/summary",
        "/v1/imports/{job_id}/rejects",
        "/v1/exports",
        "/v1/resources",
        "/v1/resources/{name}",
        "/v1/resources/{name}/template",
        "/health",
        "/ready",
        "/live",
    } <= document["paths"].keys()
    for path, item in document["paths"].items():
        for operation in item.values():
            told = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert told == set(re.findall(r"\{(\w+)\}", path))


def test_the_pages_need_nothing_from_elsewhere(http: httpx.Client) -> None:
    for path in ("/", "/docs"):
        assert not re.search(r"(src|href)=\"?(https?:)?//", http.get(path).text)
