"""What the clients of the earlier systems have in common: they post, then ask until it is over."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

OVER = ("completed", "failed", "cancelled")


def until_over(ask: Callable[[], dict[str, Any]], seconds: float = 30) -> dict[str, Any]:
    """Ask for a job until it has ended."""
    deadline = time.monotonic() + seconds
    while (job := ask())["status"] not in OVER:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def tag() -> str:
    """A word that no other test has."""
    return uuid4().hex[:12]


def body(words: int = 12) -> str:
    """A text of so many words."""
    return " ".join(["word"] * words)
