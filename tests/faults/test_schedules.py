"""Many workers, some of them killed: each tick is fired once, each webhook comes at least once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..api.hook import SECRET, Receiver
from .conftest import users
from .fleet import Fleet, until

FILE = "users.csv"
SCHEDULES = 10
# of each schedule: its ticks, how many there must be from the first to the last, and its jobs
TICKS = """
select jsonb_agg(jsonb_build_object(
    'schedule', s.name, 'ticks', t.ticks, 'distinct', t.single, 'expected', t.expected,
    'jobs', t.jobs, 'made', (select count(*) from sluice.job as j where j.schedule = s.name),
    'late', t.late, 'odd', t.odd, 'workers', t.workers
))
from sluice.schedule as s
cross join lateral (
    select
        count(*) as ticks, count(distinct t.due_at) as single, count(distinct t.job_id) as jobs,
        1 + extract(epoch from max(t.due_at) - min(t.due_at)) / {every} as expected,
        extract(epoch from max(t.fired_at - t.due_at)) as late,
        count(*) filter (
            where t.error not like 'skipped: %' or t.job_id is null and t.error is null
        ) as odd,
        array_agg(distinct t.worker) as workers
    from sluice.tick as t where t.schedule = s.name
) as t
"""


@pytest.fixture
def scheduled(new_fleet: Callable[..., Fleet], open_tmp: Path) -> Callable[[str], Fleet]:
    """Three workers, and ten schedules, imports and exports in turn."""

    def start(cron: str) -> Fleet:
        inbox = open_tmp / "inbox"
        inbox.mkdir(exist_ok=True)
        (inbox / FILE).write_bytes(users(0, 50))
        fleet = new_fleet(SLUICE_IMPORT_DIR=str(inbox))
        for _ in range(3):
            fleet.worker(wait=False)
        for worker in fleet.workers:
            worker.wait()
        fleet.run(
            f"select sluice.schedule('s' || n, '{cron}', case when n % 2 = 0 then 'import'"
            " else 'export' end, case when n % 2 = 0 then"
            f' \'{{"resource": "users", "source_path": "{FILE}"}}\'::jsonb'
            """ else '{"resource": "users", "format": "csv"}' end)"""
            f" from generate_series(1, {SCHEDULES}) as n"
        )
        return fleet

    return start


def settle(fleet: Fleet) -> None:
    """No more ticks, and all jobs at their end."""
    fleet.run("select sluice.pause_schedule(name) from sluice.schedule")
    until(lambda: fleet.one("select count(*) from sluice.job where completed_at is null") == 0, 60)


def judged(fleet: Fleet, every: int) -> list[dict[str, Any]]:
    """What was fired, after checking that it was each tick once."""
    found: list[dict[str, Any]] = fleet.one(TICKS.format(every=every))
    assert len(found) == SCHEDULES
    for one in found:
        assert one["ticks"] == one["distinct"] == one["expected"], one
        assert one["jobs"] == one["made"], one
        assert one["odd"] == 0, one
    assert fleet.one("select count(*) from sluice.job where state <> 'completed'") == 0
    assert fleet.tracebacks() == []
    return found


def test_each_tick_is_fired_once_though_a_worker_be_killed(
    scheduled: Callable[[str], Fleet],
) -> None:
    fleet = scheduled("3 seconds")
    time.sleep(6)
    fleet.workers[0].kill()
    time.sleep(5)
    fleet.workers[0].start().wait()
    time.sleep(4)
    settle(fleet)
    found = judged(fleet, 3)
    assert all(one["ticks"] >= 4 for one in found)
    assert len({worker for one in found for worker in one["workers"]}) >= 2


@pytest.mark.slow
def test_ten_schedules_each_minute_for_three_minutes(scheduled: Callable[[str], Fleet]) -> None:
    fleet = scheduled("* * * * *")
    until(lambda: fleet.one("select count(*) from sluice.tick") >= 3 * SCHEDULES, 240, pause=1)
    time.sleep(2)
    settle(fleet)
    for one in judged(fleet, 60):
        assert (one["ticks"], one["jobs"]) == (3, 3)
        assert one["late"] < 5


def test_a_webhook_whose_worker_was_killed_comes_again_under_the_same_id(
    new_fleet: Callable[..., Fleet],
) -> None:
    receiver = Receiver()
    held: list[int] = []

    def reply(number: int) -> tuple[int, dict[str, str]]:
        held.append(number)
        if number == 1:
            time.sleep(20)
        return 200, {}

    receiver.reply = reply
    fleet = new_fleet(SLUICE_URL_HOSTS="127.0.0.1", SLUICE_WEBHOOK_SECRET=SECRET)
    fleet.worker()
    fleet.run(
        "select sluice.export_create(request => jsonb_build_object("
        f"'resource', 'users', 'callback_url', '{receiver.url}'))"
    )
    until(lambda: held)
    fleet.workers[0].kill()
    # half a minute goes by
    fleet.run("update sluice.delivery set taken_at = taken_at - interval '30 seconds'")
    fleet.worker()
    until(lambda: fleet.one("select state from sluice.delivery") == "delivered")
    first, second = receiver.ids()
    assert first == second == fleet.one("select delivery_id::text from sluice.delivery")
    assert receiver.read(0)["data"]["job_id"] == receiver.read(1)["data"]["job_id"]
    attempts = fleet.one(
        "select jsonb_agg(jsonb_build_array(status, error) order by attempt)"
        " from sluice.delivery_attempt"
    )
    assert attempts[0][0] is None
    assert "was lost before it told of a reply" in attempts[0][1]
    assert attempts[1] == [200, None]
    receiver.close()


def test_a_worker_that_is_told_to_stop_gives_its_webhook_back(
    new_fleet: Callable[..., Fleet],
) -> None:
    receiver = Receiver()
    receiver.reply = lambda number: (time.sleep(30 if number == 1 else 0), (200, {}))[1]
    fleet = new_fleet(SLUICE_URL_HOSTS="127.0.0.1", SLUICE_WEBHOOK_SECRET=SECRET)
    fleet.worker()
    fleet.run(
        "select sluice.export_create(request => jsonb_build_object("
        f"'resource', 'users', 'callback_url', '{receiver.url}'))"
    )
    until(lambda: receiver.got)
    fleet.worker()
    assert fleet.workers[0].terminate(30) == 0
    until(lambda: fleet.one("select state from sluice.delivery") == "delivered", 5)
    assert len(set(receiver.ids())) == 1
    assert fleet.one("select count(*) from sluice.delivery_attempt") == 1
    receiver.close()
