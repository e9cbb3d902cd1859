"""A header looked at before its file is sent."""

from typing import Any

import httpx
import pytest

from .conftest import is_problem


def match(http: httpx.Client, header: list[str], **more: Any) -> dict[str, Any]:
    reply = http.post("/v1/resources/users/header", json={"header": header, **more})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_each_name_says_how_it_was_found(http: httpx.Client) -> None:
    found = match(
        http,
        ["mail", "name", "External Id", "rol", "zzz", "_row"],
        mapping={"mail": "email"},
    )
    assert [(c["header"], c["field"], c["how"], c["nearest"]) for c in found["columns"]] == [
        ("mail", "email", "mapping", None),
        ("name", "name", "name", None),
        ("External Id", "external_id", "spelling", None),
        ("rol", None, None, "role"),
        ("zzz", None, None, None),
        ("_row", None, "ignored", None),
    ]
    assert found["missing"] == ["role"]
    assert found["twice"] == []


def test_an_alias_a_double_and_a_name_left_out(http: httpx.Client) -> None:
    body = {"header": ["content", "body", "slug"], "mapping": {"slug": None}}
    found = http.post("/v1/resources/articles/header", json=body).json()
    assert [(c["field"], c["how"]) for c in found["columns"]] == [
        ("body", "alias"),
        ("body", "name"),
        (None, "mapping"),
    ]
    assert found["twice"] == ["body"]
    assert "slug" in found["missing"]


@pytest.mark.parametrize(
    ("header", "resource"),
    [
        (["email", "name", "role"], "users"),
        (["slug", "title", "content", "author_id"], "articles"),
        (["article_id", "user_id", "body"], "comments"),
    ],
)
def test_the_likeliest_resource_comes_first(
    http: httpx.Client, header: list[str], resource: str
) -> None:
    guesses = http.post("/v1/header", json={"header": header}).json()
    assert guesses[0]["resource"] == resource
    assert {guess["resource"] for guess in guesses} == {
        entry["name"] for entry in http.get("/v1/resources").json()
    }


def test_what_makes_no_sense_is_refused(http: httpx.Client) -> None:
    to_nothing = {"header": ["a"], "mapping": {"a": "mail"}}
    refused = http.post("/v1/resources/users/header", json=to_nothing)
    assert "no field of users" in is_problem(refused, 400)["detail"]
    is_problem(http.post("/v1/resources/nothing/header", json={"header": []}), 404)
    is_problem(http.post("/v1/header", json={"header": "a,b"}), 400)
    is_problem(http.post("/v1/header", json={"header": ["a"] * 1601}), 400)
