"""Loops that survive failures: a hand does one piece of work after the other until told to stop."""

import asyncio
from contextlib import AsyncExitStack
from typing import Protocol

from .again import keep_running
from .news import News, Subscription

# News can be lost in a crash, and nobody tells of a worker that died: look all the same.
LOOK_SECONDS = 5.0


# Each upload tells of work: who looks for work of another kind need not look at each of many.
CALM_SECONDS = 0.1


class Hand(Protocol):
    """Takes one kind of work.

    It may have `words`, the news that it waits for: ("work",); `calm`, the least time from one
    look in vain to the next; and `one_by_one`, by which each news wakes one slot: all others would
    look in vain. It then sees to it itself that more slots wake where there is more.
    """

    async def once(self) -> float | None:
        """Do one piece of work, from taking it to its end.

        0: it did something, look again at once; more: look again in so many seconds or at news;
        None: there is nothing to do until there is news. When it is cancelled it gives back what
        it had taken.
        """


async def run_hand(hand: Hand, slots: int, news: News, stopping: asyncio.Event) -> None:
    """Keep `slots` pieces of work going at once; returns when the last one after `stopping` ends.

    Whoever sets `stopping` also wakes the news. A cancelled run has cancelled its work and seen
    it end.
    """
    words: tuple[str, ...] = getattr(hand, "words", ("work",))
    name = type(hand).__name__.lower()

    calm: float = getattr(hand, "calm", CALM_SECONDS)

    sharing: int = slots if getattr(hand, "one_by_one", False) else 1

    async def slot(told: Subscription) -> None:
        await keep_running(
            lambda: _work(hand, told, stopping, calm), f"go on with {name}", stopping.is_set
        )

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(slots):
            if number % sharing == 0:
                told = await stack.enter_async_context(news.subscribe(*words, waiters=sharing))
            group.create_task(slot(told), name=f"{name}-{number}")


async def _work(hand: Hand, told: Subscription, stopping: asyncio.Event, calm: float) -> None:
    while not stopping.is_set():
        pause = await hand.once()
        if pause == 0:
            # A hand that never has to wait for anything must not keep all others from the loop.
            await asyncio.sleep(0)
        elif not stopping.is_set():
            seconds = LOOK_SECONDS if pause is None else min(pause, LOOK_SECONDS)
            await told.wait(seconds, calm if pause is None else 0)
