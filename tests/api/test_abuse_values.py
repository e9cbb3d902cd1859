"""Parameters and bodies that are too many, too long, too deep or no values at all."""

import json
import time
from typing import Any

import httpx
import pytest

from .conftest import is_problem

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "9" * 30},
        {"limit": "-1"},
        {"limit": "٣"},
        {"limit": "1" * 50_000},
        {"cursor": "x" * 50_000},
        {"cursor": "eyJ4IjoxfQ=="},
        {"cursor": "bnVsbA"},
        {"colour": "1"},
        {f"p{number}": "1" for number in range(5_000)},
    ],
    ids=lambda query: next(iter(query.items()))[0] + " " + next(iter(query.values()))[:9],
)
def test_a_value_that_is_none_is_400_at_once(http: httpx.Client, query: dict[str, str]) -> None:
    started = time.monotonic()
    is_problem(http.get("/v1/jobs", params=query), 400)
    assert time.monotonic() - started < 60


NAMES = ",".join(f"name{number}" for number in range(5_000))


@pytest.mark.parametrize(
    "query",
    [
        {"fields": NAMES},
        {"order": NAMES},
        {"include": NAMES},
        {"resource": NAMES},
        {"limit": "9" * 40},
        {"email[regex]": "(a+)+$"},
        {"email[like]": "%a" * 5_000},
        {"created_at[gt]": "2024-01-01" * 1_000},
        {"created_at[gt]": "9" * 5_000},
        {"id[gt]": "00000000-0000-0000-0000-00000000000g"},
        {"active[in]": ",".join(["x"] * 5_000)},
    ],
    ids=lambda query: next(iter(query)),
)
def test_an_export_judges_its_parameters_quickly(http: httpx.Client, query: dict[str, str]) -> None:
    started = time.monotonic()
    problem = is_problem(http.get("/v1/exports", params={"resource": "users", **query}), 400)
    assert time.monotonic() - started < 60
    assert len(problem["detail"]) < 3_000


def test_long_lists_that_mean_something_are_answered_in_time(http: httpx.Client) -> None:
    started = time.monotonic()
    many = ",".join(f"v{number}" for number in range(5_000))
    assert http.get("/v1/exports", params={"resource": "users", "role[in]": many}).text == ""
    again = ",".join(["email"] * 5_000)
    for name in ("fields", "order"):
        reply = http.get("/v1/exports", params={"resource": "users", name: again})
        assert reply.status_code in (200, 400)
    assert time.monotonic() - started < 60


BODIES: dict[str, tuple[int, bytes]] = {
    "deep": (400, b'{"resource":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep enough for a decoder": (400, b'{"name":' + b"[" * 900 + b"]" * 900 + b"}"),
    "larger than a request is": (413, b'{"name":"' + b"a" * 2_000_000 + b'"}'),
    "a half character": (400, rb'{"name":"\ud800"}'),
    "NUL": (400, rb'{"name":"\u0000"}'),
    "NUL in a name": (400, rb'{"a\u0000":1}'),
    "a number out of range": (400, b'{"name":1e999999}'),
    "a long number": (400, b'{"name":' + b"9" * 6_000 + b"}"),
    "many names": (400, json.dumps({f"k{n}": 1 for n in range(30_000)}).encode()),
    "a list": (400, b"[]"),
    "UTF-16": (400, '{"name":"x"}'.encode("utf-16")),
    "no UTF-8": (400, b'{"name":"\xff"}'),
    "not a number": (400, b'{"name":NaN}'),
}


@pytest.mark.parametrize("path", ["/v1/exports", "/v1/schedules", "/v1/keys"])
@pytest.mark.parametrize(("status", "body"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_small_object_is_refused(
    http: httpx.Client, path: str, status: int, body: bytes
) -> None:
    started = time.monotonic()
    is_problem(http.post(path, content=body, headers=JSON), status)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("body", [b'{"url":%s}', b'{"url":"https://a.example/","mapping":%s}'])
def test_a_url_request_of_deep_json_is_refused(http: httpx.Client, body: bytes) -> None:
    content = body % (b"[" * 900 + b"]" * 900)
    is_problem(http.post("/v1/imports?resource=users", content=content, headers=JSON), 400)


@pytest.mark.parametrize("rate", [0, -1, 99999999999999999999, 1.5, "1"])
def test_a_key_takes_no_rate_that_is_none(http: httpx.Client, rate: Any) -> None:
    is_problem(http.post("/v1/keys", json={"name": "odd", "rate_limit": rate}), 400)


@pytest.mark.parametrize("count", [200, 10_000])
def test_a_form_of_many_fields_is_refused(http: httpx.Client, count: int) -> None:
    part = '--B\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n'
    body = "".join(part % number for number in range(count)).encode()
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    is_problem(http.post("/v1/imports?resource=users", content=body, headers=headers), 400)
    form = "&".join(f"f{number}=1" for number in range(count)) + "&url=https://a.example/a.csv"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = http.post("/v1/imports?resource=users", content=form, headers=headers)
    assert reply.status_code in (400, 415)
