"""URLs that a request names for later: judged at once by their text."""

from collections.abc import Mapping
from typing import Any

from ..errors import ProblemError
from ..outbound import Refused, check_url
from ..settings import Settings


def check_urls(settings: Settings, asked: Mapping[str, Any], *names: str) -> None:
    """Refuse (400) what no worker would ask; it judges again, by address, when it does."""
    for name in names:
        if isinstance(url := asked.get(name), str):
            try:
                check_url(settings, url)
            except Refused as exc:
                raise ProblemError(400, f"{name}: {exc}") from None
