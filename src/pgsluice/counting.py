"""Requests as this process counts them, until Postgres has taken the counts over."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import msgspec

# As sluice.http_bounds(): seconds.
BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class _Count(msgspec.Struct):
    requests: int = 0
    seconds: float = 0.0
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


class Counts:
    """Requests by method, route and status, since they were last taken."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], _Count] = {}

    def add(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request that was answered."""
        count = self._counts.setdefault((method, path, status), _Count())
        count.requests += 1
        count.seconds += seconds
        count.buckets[bisect_left(BOUNDS, seconds)] += 1

    def take(self) -> list[dict[str, Any]]:
        """What was counted since the last time, as sluice.count_http wants it."""
        taken, self._counts = self._counts, {}
        return [
            {"method": method, "path": path, "status": status, **msgspec.structs.asdict(count)}
            for (method, path, status), count in taken.items()
        ]

    def give_back(self, counts: Sequence[dict[str, Any]]) -> None:
        """Count again what could not be handed over."""
        for one in counts:
            count = self._counts.setdefault((one["method"], one["path"], one["status"]), _Count())
            count.requests += one["requests"]
            count.seconds += one["seconds"]
            count.buckets = [a + b for a, b in zip(count.buckets, one["buckets"], strict=True)]
