"""Small imports over HTTP, one after another or many at once, and what they waited."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import quantiles
from typing import Any

from .place import BenchError
from .service import Service

_numbers = count()


@dataclass
class Waits:
    """What each of some requests waited, in seconds, and how many came to nothing."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0

    def summary(self) -> dict[str, Any]:
        """How many, the middle one and the slow ones, in milliseconds."""
        if len(self.seconds) < 2:
            return {"requests": len(self.seconds), "lost": self.lost}
        cuts = [round(1000 * one, 1) for one in quantiles(self.seconds, n=100, method="inclusive")]
        worst = round(1000 * max(self.seconds), 1)
        return {
            "requests": len(self.seconds), "lost": self.lost,
            "p50_ms": cuts[49], "p95_ms": cuts[94], "most_ms": worst,
        }  # fmt: skip


def small_import(service: Service, rows: int = 100, more: str = "") -> bool:
    """Import new users and wait for the end; is it complete. `more` ends the query string."""
    start = next(_numbers) * rows
    lines = ["email,name,role\n"]
    lines += [f"small{n}@example.com,Small {n},reader\n" for n in range(start, start + rows)]
    headers = {"Content-Type": "text/csv", "Prefer": "wait=60"}
    job = service.call(
        "POST", f"/v1/imports?resource=users{more}", "".join(lines).encode(), headers
    )
    return bool(job["status"] == "completed" and job["counts"]["inserted"] == rows)


def bulk_call(service: Service, rows: int = 100) -> bool:
    """`POST /api/users/bulk` with new users; is it complete."""
    start = next(_numbers) * rows
    users = [
        {"email": f"bulk{n}@example.com", "name": f"Bulk {n}"} for n in range(start, start + rows)
    ]
    headers = {"Content-Type": "application/json"}
    reply = service.call("POST", "/api/users/bulk", json.dumps(users).encode(), headers)
    return "error" not in reply


def timed(work: Callable[[], bool], waits: Waits) -> None:
    """Do it and note how long it took, or that it was lost."""
    began = time.perf_counter()
    try:
        done = work()
    except (BenchError, OSError):
        done = False
    if done:
        waits.seconds.append(time.perf_counter() - began)
    else:
        waits.lost += 1


def in_turn(work: Callable[[], bool], times: int) -> Waits:
    """One after another."""
    waits = Waits()
    for _ in range(times):
        timed(work, waits)
    return waits


def at_once(work: Callable[[], bool], clients: int) -> Waits:
    """All at the same moment."""
    waits, gate = Waits(), threading.Barrier(clients)

    def one() -> None:
        gate.wait()
        timed(work, waits)

    with ThreadPoolExecutor(clients) as pool:
        for ended in [pool.submit(one) for _ in range(clients)]:
            ended.result()
    return waits


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Do something meanwhile; call what is yielded to know whether it goes on. Its error comes."""
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(work)
        yield lambda: not task.done()
        task.result()
