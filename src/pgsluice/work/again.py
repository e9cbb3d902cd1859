"""Work that survives failures: of the database, of the network, of its own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..database import problem_of

log = logging.getLogger("pgsluice.work")

_SHORTEST_BACKOFF = 0.1
_LONGEST_BACKOFF = 5.0


async def keep_running(
    work: Callable[[], Awaitable[None]], name: str, is_over: Callable[[], bool]
) -> None:
    """Run `work` again and again until it is over; after a failure a little later each time.

    What went well since, or for a while, has the next failure count as the first again: one piece
    of work that ends its session must not keep the others waiting.
    """
    backoff = _SHORTEST_BACKOFF
    while not is_over():
        started = asyncio.get_running_loop().time()
        try:
            await work()
            backoff = _SHORTEST_BACKOFF
        except Exception as exc:
            if asyncio.get_running_loop().time() - started > 2 * _LONGEST_BACKOFF:
                backoff = _SHORTEST_BACKOFF
            status = problem_of(exc).status
            known = isinstance(exc, OSError) or status < 500 or status == 503
            reason = str(exc).partition("\n")[0]
            log.warning(
                "cannot %s (%s); trying again in %.1f s", name, reason, backoff, exc_info=not known
            )
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
