"""Who is woken by news."""

import asyncio

from pgsluice.work.news import News, Subscription


async def woken(told: Subscription, waiters: int) -> int:
    """How many of so many that wait are woken in a moment."""
    waits = [asyncio.create_task(told.wait(0.05)) for _ in range(waiters)]
    return sum(await asyncio.gather(*waits))


async def test_of_several_who_share_a_subscription_each_news_wakes_one() -> None:
    news = News("")
    async with news.subscribe("work", waiters=3) as told:
        news.tell("work")
        assert await woken(told, 3) == 1
        news.tell("work")
        news.tell("work")
        assert await woken(told, 3) == 2
        for _ in range(9):
            news.tell("work")
        assert await woken(told, 3) == 3
        assert await woken(told, 3) == 0
        news.tell_all()
        assert await woken(told, 3) == 3


async def test_who_waits_alone_has_had_all_news_with_one() -> None:
    news = News("")
    async with news.subscribe("a", "b") as told:
        news.tell("a")
        news.tell("b")
        assert await told.wait(0.05)
        assert not await told.wait(0.05)
        news.tell("c")
        assert not await told.wait(0.05)
