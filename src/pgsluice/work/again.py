"""Work that survives failures: of the database, of the network, of its own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..database import problem_of

log = logging.getLogger("pgsluice.work")

_LONGEST_BACKOFF = 5.0


async def keep_running(
    work: Callable[[], Awaitable[None]], name: str, is_over: Callable[[], bool]
) -> None:
    """Run `work` again after each failure, each time a little later, until it is over."""
    backoff = 0.1
    while not is_over():
        started = asyncio.get_running_loop().time()
        try:
            await work()
        except Exception as exc:
            if asyncio.get_running_loop().time() - started > 2 * _LONGEST_BACKOFF:
                backoff = 0.1
            status = problem_of(exc).status
            known = isinstance(exc, OSError) or status < 500 or status == 503
            reason = str(exc).partition("\n")[0]
            log.warning(
                "cannot %s (%s); trying again in %.1f s", name, reason, backoff, exc_info=not known
            )
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
