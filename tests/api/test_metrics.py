"""What Prometheus reads."""

import shutil
import subprocess
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import USERS, is_problem

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(url: str) -> Samples:
    """Every sample by name and labels."""
    reply = httpx.get(f"{url}/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"bulk_import_export_{name}", frozenset(labels.items())), 0.0)


def test_requests_jobs_and_records_are_counted(service: Any, post: Any) -> None:
    before = read(service.url)
    assert post(USERS + b"nobody,No One,reader\n").status_code == 200
    httpx.get(f"{service.url}/v1/exports?resource=users")
    httpx.get(f"{service.url}/v1/imports/nothing")
    httpx.get(f"{service.url}/no/such/place")
    after = read(service.url)

    def grew(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grew("http_requests_total", method="POST", path="/v1/imports", status="200") == 1
    assert grew("http_requests_total", method="GET", path="/v1/exports", status="200") == 1
    template = "/v1/imports/{job_id}"
    assert grew("http_requests_total", method="GET", path=template, status="404") == 1
    assert grew("http_requests_total", method="GET", path="unmatched", status="404") == 1
    assert grew("jobs_total", type="import", resource="users", status="completed") == 1
    records = {"type": "import", "resource": "users"}
    assert grew("records_processed_total", **records, status="success") == 2
    assert grew("records_processed_total", **records, status="failed") == 1
    assert grew("job_duration_seconds_count", type="import", status="completed") == 1
    labels = {"method": "POST", "path": "/v1/imports", "status": "200"}
    assert grew("http_request_duration_seconds_bucket", **labels, le="+Inf") == 1
    assert grew("http_request_duration_seconds_sum", **labels) > 0
    assert value(after, "active_jobs", type="import") == 0
    assert value(after, "workers") >= 1


def test_two_processes_tell_the_same(service: Any, start_service: Any) -> None:
    other = start_service(beside=service).url
    for _ in range(3):
        httpx.get(f"{other}/v1/resources")
    # what another process has counted is handed over every few seconds, or when it is asked
    theirs = read(other)
    ours = read(service.url)
    labels = {"method": "GET", "path": "/v1/resources", "status": "200"}
    assert value(theirs, "http_requests_total", **labels) >= 3
    assert value(ours, "http_requests_total", **labels) == value(
        theirs, "http_requests_total", **labels
    )


def test_metrics_can_be_closed_or_switched_off(start_service: Any) -> None:
    closed = start_service(SLUICE_METRICS_KEY="of-prometheus").url
    is_problem(httpx.get(f"{closed}/metrics"), 401)
    is_problem(httpx.get(f"{closed}/metrics", headers={"X-API-Key": "wrong"}), 401)
    bearer = {"Authorization": "Bearer of-prometheus"}
    assert httpx.get(f"{closed}/metrics", headers=bearer).status_code == 200
    assert httpx.get(f"{closed}/v1/jobs").status_code == 200
    off = start_service(SLUICE_METRICS="off").url
    is_problem(httpx.get(f"{off}/metrics"), 404)


def test_no_value_of_a_request_becomes_a_label(service: Any) -> None:
    httpx.request("BREW", f"{service.url}/v1/secret-in-a-path?token=secret")
    httpx.get(f"{service.url}/v1/resources/secret-in-a-path")
    assert "secret" not in httpx.get(f"{service.url}/metrics").text


def test_promtool_has_nothing_to_say(service: Any) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    text = httpx.get(f"{service.url}/metrics").text
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
