"""A client as it should be: it sends again, under the same key, until it is answered."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

ENDED = ("completed", "failed", "cancelled")
_AGAIN = (429, 502, 503, 504)


class Client:
    """Talks to any of some APIs in turn, and counts how often it had to send again."""

    def __init__(self, urls: Callable[[], list[str]], seconds: float = 90) -> None:
        self._urls, self._seconds = urls, seconds
        self._turn, self.again = 0, 0
        self._http = httpx.Client(timeout=60, trust_env=False)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The first reply that is neither a lost connection nor a "come again"."""
        end = time.monotonic() + self._seconds
        while True:
            self._turn += 1
            urls = self._urls()
            try:
                reply = self._http.request(method, urls[self._turn % len(urls)] + path, **given)
            except httpx.TransportError as exc:
                told = repr(exc)
            else:
                # 409: as far as anybody knows, the first request with this key is still under way
                received = method == "POST" and reply.status_code == 409
                if reply.status_code not in _AGAIN and not received:
                    return reply
                told = reply.text
            assert time.monotonic() < end, f"{method} {path}: {told}"
            self.again += 1
            time.sleep(0.2)

    def post(self, path: str, key: str | None = None, **given: Any) -> dict[str, Any]:
        """The job that a POST made, sent again until it is accepted."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), **given.pop("headers", {})}
        reply = self.send("POST", path, headers=headers, **given)
        assert reply.status_code in (200, 202), f"POST {path}: {reply.status_code} {reply.text}"
        return dict(reply.json())

    def get(self, path: str) -> dict[str, Any]:
        """What a GET of a resource says now."""
        reply = self.send("GET", path)
        assert reply.status_code == 200, f"GET {path}: {reply.status_code} {reply.text}"
        return dict(reply.json())

    def ended(self, path: str, seconds: float = 120) -> dict[str, Any]:
        """The job once it has ended."""
        end = time.monotonic() + seconds
        while (job := self.get(path))["status"] not in ENDED:
            assert time.monotonic() < end, f"not ended after {seconds} s: {job}"
            time.sleep(0.1)
        return job
