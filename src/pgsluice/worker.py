"""The worker: a few sessions that ask SQL for the next step until nothing is left."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .database import Connection, Pool, call, problem_of

log = logging.getLogger("pgsluice.worker")

_LOOK_SECONDS = 5.0  # a wake-up can be lost in a crash: look for due work all the same
_SWEEP_SECONDS = 15.0
_BUSY_SECONDS = 0.05
_ELSEWHERE_SECONDS = 0.25
_LONGEST_WAIT = 1.0
_LONGEST_BACKOFF = 5.0


class Worker:
    """Concurrent sessions over `sluice.next_step()`; start() and stop() frame their life."""

    def __init__(
        self, pool: Pool, sessions: int, moved: Callable[[str], None] = lambda _: None
    ) -> None:
        """`moved` is called with the id of a job after each of its steps."""
        self._pool = pool
        self._moved = moved
        self._sessions = max(1, sessions)
        self._at_work = 0
        self._news = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the sessions and the sweeper on the running loop."""
        self._tasks = [
            asyncio.create_task(self._session(first=number == 0), name=f"session-{number}")
            for number in range(self._sessions)
        ]
        self._tasks.append(asyncio.create_task(self._sweep(), name="sweep"))

    async def stop(self, patience: float = 10.0) -> None:
        """Let running steps end within `patience` seconds; cancel, so roll back, the rest."""
        self._stopping = True
        self.wake()
        self._tasks.pop().cancel()
        _, late = await asyncio.wait(self._tasks, timeout=patience)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        """Have every idle session look at once."""
        self._news.set()
        self._news = asyncio.Event()

    async def _session(self, *, first: bool) -> None:
        async def loop() -> None:
            while not self._stopping:
                # Taken before the look: news that comes while it runs is not lost.
                news = self._news
                async with self._pool.connection() as conn:
                    while (pause := await self._step(conn)) == 0 and not self._stopping:
                        news = self._news
                if pause is None and first:
                    pause = _LOOK_SECONDS
                if not self._stopping:
                    await _rest(news, pause)

        await keep_running(loop, "work", lambda: self._stopping)

    async def _step(self, conn: Connection) -> float | None:
        """Do one step; return how long to rest before the next, None = until there is news."""
        self._at_work += 1
        try:
            reply = await call(conn, "next_step")
        finally:
            self._at_work -= 1
        match reply["status"]:
            case "done":
                self.wake()
                self._moved(str(reply.get("job_id")))
                return 0
            case "busy":
                return _BUSY_SECONDS if self._at_work else _ELSEWHERE_SECONDS
            case "wait":
                return max(_BUSY_SECONDS, min(float(reply["seconds"]), _LONGEST_WAIT))
        return None

    async def _sweep(self) -> None:
        async def loop() -> None:
            while not self._stopping:
                async with self._pool.connection() as conn:
                    await call(conn, "sweep")
                await asyncio.sleep(_SWEEP_SECONDS)

        await keep_running(loop, "sweep", lambda: self._stopping)


async def _rest(news: asyncio.Event, seconds: float | None) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), seconds)


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
