"""GET /metrics: what all processes have counted, for Prometheus."""

import asyncio
import hashlib
import hmac
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from ..database import Error, Jsonb, Pool
from ..errors import ProblemError
from . import read_doc as doc
from .access import key_of
from .service import AnyRequest, Service, service_of

log = logging.getLogger("pgsluice.metrics")

_PREFIX = "bulk_import_export_"
_HAND_OVER_SECONDS = 5.0
_RECORDS = {"good": "success", "bad": "failed"}


@get("/metrics", opt=doc.METRICS)
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Everything in the text format of Prometheus."""
    service = service_of(request)
    if service.settings.metrics == "off":
        raise ProblemError(404, "metrics are switched off: SLUICE_METRICS")
    _check_key(request, service.settings.metrics_key)
    await hand_over(service)
    registry = CollectorRegistry()
    registry.register(_Families(await service.ask("metrics"), service))
    ProcessCollector(registry=registry)
    return Response(
        generate_latest(registry),
        headers={"Cache-Control": "no-store"},
        # Litestar adds the charset of a text itself
        media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"),
    )


async def keep_counting(service: Service) -> None:
    """Hand what this process counts to Postgres now and then, until cancelled."""
    while True:
        await asyncio.sleep(_HAND_OVER_SECONDS)
        try:
            await hand_over(service)
        except Exception as exc:
            log.debug("counts are kept for later: %s", exc)


async def hand_over(service: Service) -> None:
    """Add what this process has counted to what Postgres has."""
    if counts := service.counts.take():
        try:
            await service.ask("count_http", counts=Jsonb(counts))
        except Error:
            service.counts.give_back(counts)
            raise


def _check_key(request: AnyRequest, wanted: str) -> None:
    if not wanted:
        return
    given = key_of(request) or ""
    pair = (hashlib.sha256(key.encode()).digest() for key in (given, wanted))
    if not hmac.compare_digest(*pair):
        raise ProblemError(
            401,
            "metrics need the key of SLUICE_METRICS_KEY, as Authorization: Bearer",
            {"WWW-Authenticate": 'Bearer realm="pgsluice metrics"'},
        )


class _Families(Collector):
    """The families of metrics, from what SQL told and what this process knows of itself."""

    def __init__(self, told: dict[str, Any], service: Service) -> None:
        self._told = told
        self._pools = {
            "api": service.pool, "uploads": service.uploads, "downloads": service.downloads
        }  # fmt: skip
        if service.replica.pool:
            self._pools["replica"] = service.replica.pool

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield from self._http()
        yield from self._jobs()
        yield from self._queue()
        yield self._connections()

    def _http(self) -> Iterator[Metric]:
        labels = ("method", "path", "status")
        requests = CounterMetricFamily(
            f"{_PREFIX}http_requests", "Requests answered, by route.", labels=labels
        )
        seconds = HistogramMetricFamily(
            f"{_PREFIX}http_request_duration_seconds",
            "Time to answer a request, its body and its reply included.",
            labels=labels,
        )
        for one in self._told["http"]:
            values = (one["method"], one["path"], str(one["status"]))
            requests.add_metric(values, one["requests"])
            seconds.add_metric(
                values, _buckets(one["buckets"], self._told["http_bounds"]), one["seconds"]
            )
        yield from (requests, seconds)

    def _jobs(self) -> Iterator[Metric]:
        jobs = CounterMetricFamily(
            f"{_PREFIX}jobs", "Jobs that have ended.", labels=("type", "resource", "status")
        )
        seconds = HistogramMetricFamily(
            f"{_PREFIX}job_duration_seconds",
            "Time from the first step of a job to its end.",
            labels=("type", "status"),
        )
        records = CounterMetricFamily(
            f"{_PREFIX}records_processed",
            "Records of ended jobs: imported or exported (success), or rejected and not reached.",
            labels=("type", "resource", "status"),
        )
        handled: Counter[tuple[str, str, str]] = Counter()
        spent: dict[tuple[str, str], tuple[list[int], float]] = {}
        for one in self._told["jobs"]:
            kind, state = one["kind"], one["state"]
            jobs.add_metric((kind, one["resource"], state), one["jobs"])
            for name, status in _RECORDS.items():
                handled[kind, one["resource"], status] += one[name]
            buckets, total = spent.get((kind, state), ([0] * len(one["buckets"]), 0.0))
            added = [a + b for a, b in zip(buckets, one["buckets"], strict=True)]
            spent[kind, state] = added, total + one["seconds"]
        for labels, count in handled.items():
            records.add_metric(labels, count)
        for key, (buckets, total) in spent.items():
            seconds.add_metric(key, _buckets(buckets, self._told["job_bounds"]), total)
        yield from (jobs, seconds, records)

    def _queue(self) -> Iterator[Metric]:
        told = self._told
        for name, meaning, values in (
            ("active_jobs", "Jobs that run now.", told["active"]),
            ("waiting_jobs", "Jobs that wait for their turn.", told["waiting"]),
        ):
            family = GaugeMetricFamily(f"{_PREFIX}{name}", meaning, labels=("type",))
            for kind, value in values.items():
                family.add_metric((kind,), value)
            yield family
        for name, meaning, key in (
            ("oldest_waiting_job_seconds", "Age of the oldest job that waits.", "oldest_seconds"),
            ("rows_per_second", "Records that running jobs get through.", "rows_per_second"),
            ("workers", "Workers with a heartbeat in the last minute.", "workers"),
            ("waiting_webhooks", "Webhooks not delivered yet.", "deliveries_waiting"),
            ("stage_bytes", "Size of the tables of running imports.", "stage_bytes"),
        ):
            yield GaugeMetricFamily(f"{_PREFIX}{name}", meaning, value=float(told[key] or 0))

    def _connections(self) -> Metric:
        family = GaugeMetricFamily(
            f"{_PREFIX}pool_connections",
            "Connections of this process to Postgres.",
            labels=("pool", "state"),
        )
        for name, pool in self._pools.items():
            for state, count in _use_of(pool).items():
                family.add_metric((name, state), count)
        return family


def _use_of(pool: Pool) -> dict[str, int]:
    found = pool.get_stats()
    size, idle = found.get("pool_size", 0), found.get("pool_available", 0)
    return {"used": size - idle, "idle": idle, "free": pool.max_size - size}


def _buckets(counts: list[int], bounds: list[float]) -> list[tuple[str, float]]:
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    return list(zip(names, map(float, accumulate(counts)), strict=True))
