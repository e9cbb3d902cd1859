"""Pages of other sites, and what a browser is told of ours."""

from typing import Any

import httpx
import pytest

CSV = b"email,name\nx@example.org,X\n"
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "http://evil.example#127.0.0.1"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Same-Origin"},
    {"Host": "evil.example"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1@evil.example"},
    {"Host": "[::1].evil.example"},
    {"Host": "localhost:x:y"},
    {"Host": ""},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_reaches_nothing(
    service: Any, http: httpx.Client, headers: dict[str, str]
) -> None:
    # What a form or an image of such a page can send needs no permission of CORS.
    plain = {"Content-Type": "text/plain", **headers}
    form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    for refused in (
        http.post("/v1/imports?resource=users", files={"file": ("a.csv", CSV)}, headers=headers),
        http.post("/v1/imports?resource=users&format=csv", content=CSV, headers=plain),
        http.post("/v1/imports", content="resource=users&url=https://a.example/", headers=form),
        http.post("/v1/exports", content=b'{"resource":"users"}', headers=plain),
        http.post("/v1/keys", content=b'{"name":"stolen"}', headers=plain),
        http.post("/api/v1/users/bulk", content=b'{"users":[]}', headers=plain),
        http.get("/v1/exports?resource=users", headers=headers),
        http.get("/v1/keys", headers=headers),
    ):
        assert refused.status_code in (400, 403, 404), refused.text
        assert not {name for name in refused.headers if name.startswith("access-control")}
    assert http.get("/v1/jobs").json()["jobs"] == []


def test_no_reply_lets_another_site_read_it(http: httpx.Client) -> None:
    asks = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    for path in ("/v1/imports", "/v1/jobs", "/openapi.json", "/docs", "/live", "/nothing"):
        for reply in (http.options(path, headers=asks), http.get(path, headers=asks)):
            assert not {name for name in reply.headers if name.startswith("access-control")}


@pytest.mark.parametrize(
    "path", ["/docs", "/openapi.json", "/v1/jobs", "/v1/exports?resource=users", "/nothing", "/"]
)
def test_every_reply_tells_the_browser_to_keep_to_itself(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "server" not in headers


def test_what_was_sent_comes_back_as_json_only(http: httpx.Client) -> None:
    script = "<script>alert(1)</script>"
    for reply in (
        http.get(f"/v1/{script}"),
        http.get("/v1/jobs", params={script: script}),
        http.get(f"/v1/resources/{script}"),
        http.get("/live", headers={"X-Request-Id": script}),
    ):
        assert reply.headers["content-type"] in ("application/problem+json", "application/json")


@pytest.mark.parametrize("given", ["a\tb", "x" * 129, "ü", "a b", ""])
def test_an_odd_request_id_is_not_repeated(http: httpx.Client, given: str) -> None:
    reply = http.get("/live", headers={b"X-Request-Id": given.encode()})
    assert reply.headers["x-request-id"] != given
