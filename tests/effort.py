"""How much a random test tries: a fixed little in CI, as much as FUZZ_EXAMPLES says by hand."""

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def effort(examples: int, **more: Any) -> settings:
    """The same examples on every run; other ones, and so many, where FUZZ_EXAMPLES is set."""
    wanted = os.environ.get("FUZZ_EXAMPLES")
    return settings(
        deadline=None,
        max_examples=int(wanted or examples),
        derandomize=not wanted,
        database=None,
        suppress_health_check=SLOW,
        phases=[Phase.generate] if os.environ.get("FUZZ_QUICK") else list(Phase),
        **more,
    )
