"""News from Postgres: one LISTEN connection for a whole process, any number of subscribers."""

import asyncio
from collections import defaultdict
from contextlib import aclosing
from typing import Self

from ..database import listen
from .again import keep_running

CHANNEL = "sluice"
_EVERYBODY = ""


class News:
    """Hears what `sluice.announce` tells, and wakes whoever has subscribed to it."""

    def __init__(self, dsn: str) -> None:
        """`dsn` must lead to Postgres itself: a pooler passes no news on."""
        self._dsn = dsn
        self._subscribers: defaultdict[str, set[Subscription]] = defaultdict(set)

    def subscribe(self, *words: str, waiters: int = 1) -> "Subscription":
        """Ask for "work", "schedule" or "job <id>"; it counts from `async with` on.

        Of several `waiters` each news wakes one.
        """
        return Subscription(self._subscribers, words, waiters)

    def tell(self, word: str) -> None:
        """Wake the subscribers of this process to a word."""
        for subscriber in self._subscribers.get(word, ()):
            subscriber.wake()

    def tell_all(self) -> None:
        """Wake every subscriber: something may have happened that nobody heard of."""
        for subscriber in self._subscribers.get(_EVERYBODY, ()):
            subscriber.wake_all()

    async def listen(self) -> None:
        """Hear until cancelled; after a loss of the connection everybody is told to look."""

        async def work() -> None:
            async with aclosing(listen(self._dsn, CHANNEL)) as words:
                async for word in words:
                    if word is None:
                        self.tell_all()
                    else:
                        self.tell(word)

        await keep_running(work, "hear the news", is_over=lambda: False)


class Subscription:
    """Some words of the news for one who waits for them; an `async with` block frees it."""

    def __init__(
        self,
        subscribers: "defaultdict[str, set[Subscription]]",
        words: tuple[str, ...],
        waiters: int,
    ) -> None:
        self._subscribers, self._words = subscribers, (*words, _EVERYBODY)
        self._waiters = waiters
        self._news: asyncio.Queue[None] = asyncio.Queue(waiters)

    async def __aenter__(self) -> Self:
        for word in self._words:
            self._subscribers[word].add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        for word in self._words:
            self._subscribers[word].discard(self)
            if not self._subscribers[word]:
                del self._subscribers[word]

    def wake(self) -> None:
        """Have the next (or a present) wait end at once."""
        if not self._news.full():
            self._news.put_nowait(None)

    def wake_all(self) -> None:
        """Have the next (or present) wait of each waiter end at once."""
        for _ in range(self._waiters):
            self.wake()

    async def wait(self, seconds: float | None = None, least: float = 0) -> bool:
        """Wait for news that no wait has had yet; False when the time is up.

        News that comes sooner than after `least` seconds are told then. One who waits alone has
        had with one all that has come by then.
        """
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(seconds):
                await self._news.get()
                await asyncio.sleep(max(0, begun + least - asyncio.get_running_loop().time()))
        except TimeoutError:
            return False
        finally:
            if self._waiters == 1 and not self._news.empty():
                self._news.get_nowait()
        return True
