"""Jobs that somebody follows: one look at each news of a job, however many follow it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ..database import Error, problem_of
from ..work.news import News

log = logging.getLogger("pgsluice.api")

_LOOK_SECONDS = 5.0  # news can be lost in a crash
_LEAST_SECONDS = 0.2


@dataclass(frozen=True, eq=False)
class State:
    """What was seen of a job: its progress, or the whole job once it has ended."""

    body: dict[str, Any]
    ended: bool


class Watch:
    """The latest state of a job for all who follow it; `over` when no other will come."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.over = False
        self._changed = asyncio.Event()
        self.followers = 0

    def publish(self, state: State | None, *, over: bool) -> None:
        """Pass a state on to the followers."""
        self.state, self.over = state, over
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float) -> bool:
        """Wait for a state that is published from now on; False when the time is up."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


class Watches:
    """The watch of each job that is followed; a watch ends with its last follower."""

    def __init__(self, news: News, look: Callable[[UUID], Awaitable[State | None]]) -> None:
        """`look` tells the state of a job; None when there is no such job."""
        self._news, self._look = news, look
        self._watches: dict[UUID, tuple[Watch, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def follow(self, job_id: UUID) -> AsyncIterator[Watch]:
        """The watch of a job, for as long as the block lasts."""
        if job_id not in self._watches:
            watch = Watch()
            task = asyncio.create_task(self._keep(job_id, watch), name=f"watch {job_id}")
            self._watches[job_id] = watch, task
        watch, task = self._watches[job_id]
        watch.followers += 1
        try:
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers:
                del self._watches[job_id]
                task.cancel()

    def close(self) -> None:
        """End all watches: the service is about to stop."""
        for watch, task in self._watches.values():
            task.cancel()
            watch.publish(watch.state, over=True)

    async def _keep(self, job_id: UUID, watch: Watch) -> None:
        async with self._news.subscribe(f"job {job_id}") as told:
            told.wake()  # the state as it is now
            while not watch.over:
                await told.wait(_LOOK_SECONDS)
                try:
                    state = await self._look(job_id)
                except Error as exc:
                    log.info("cannot look at job %s: %s", job_id, problem_of(exc).detail)
                else:
                    watch.publish(state, over=state is None or state.ended)
                await asyncio.sleep(_LEAST_SECONDS)
