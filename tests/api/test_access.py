"""SLUICE_ANONYMOUS says what anyone may do."""

from typing import Any

import httpx
import pytest


def test_a_service_open_for_imports_exports_nothing(start_service: Any) -> None:
    with httpx.Client(base_url=start_service(SLUICE_ANONYMOUS="import").url) as http:
        refused = http.get("/v1/exports", params={"resource": "users"})
        assert refused.status_code == 403
        assert "SLUICE_ANONYMOUS" in refused.json()["detail"]
        assert http.get("/v1/imports").status_code == 200
        assert http.get("/v1/resources").status_code == 200


def test_a_service_open_for_exports_imports_nothing(start_service: Any) -> None:
    with httpx.Client(base_url=start_service(SLUICE_ANONYMOUS="export").url) as http:
        body, csv = b"email\na@example.org\n", {"Content-Type": "text/csv"}
        refused = http.post("/v1/imports?resource=users", content=body, headers=csv)
        assert refused.status_code == 403
        assert http.get("/v1/imports").status_code == 403
        assert http.get("/v1/jobs").status_code == 200
        assert http.get("/v1/exports", params={"resource": "users"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "rebound.example:8080"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_a_page_of_another_site_cannot_use_a_service_without_keys(
    service: Any, headers: dict[str, str]
) -> None:
    reply = httpx.post(
        f"{service.url}/v1/imports?resource=users",
        files={"file": ("users.csv", b"email,name\nx@example.org,X\n")},
        headers=headers,
    )
    assert reply.status_code == 403, reply.text
    assert httpx.get(f"{service.url}/v1/jobs", headers=headers).status_code == 403


def test_its_own_pages_and_programs_can(service: Any) -> None:
    host = service.url.removeprefix("http://")
    for headers in (
        {},
        {"Origin": service.url, "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:8080"},
        {"Host": host.replace("127.0.0.1", "[::1]")},
    ):
        assert httpx.get(f"{service.url}/v1/jobs", headers=headers).status_code == 200
