"""SLUICE_ANONYMOUS says what anyone may do."""

from typing import Any

import httpx


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
