"""cron_next: the ticks of an expression, against croniter in UTC, and clocks that change."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
EIGHT_YEARS = timedelta(days=8 * 365)


def tick(conn: psycopg.Connection, cron: str, zone: str, after: str | datetime) -> datetime:
    row = conn.execute(
        "select sluice.cron_next(%s, %s, %s::timestamptz)", [cron, zone, after]
    ).fetchone()
    assert row
    return row[0].astimezone(UTC)  # type: ignore[no-any-return]


def ticks(conn: psycopg.Connection, cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next ticks, as day, hour and minute in UTC."""
    found: list[datetime] = []
    for _ in range(count):
        found.append(tick(conn, cron, zone, found[-1] if found else after))
    return [at.strftime("%d %H:%M") for at in found]


@st.composite
def part(draw: Any, low: int, high: int, names: list[str] | None = None) -> str:
    """One item of a field: a star, a number or a range, perhaps with a step."""

    def word(number: int) -> str:
        if names and draw(st.booleans()):
            return draw(st.sampled_from([str.upper, str.lower]))(names[number - low])
        return str(number)

    form = draw(st.sampled_from(["all", "number", "range"]))
    if form == "number":
        return word(draw(st.integers(low, high)))
    # croniter takes 5-5 for all
    first = draw(st.integers(low, high - 1))
    text = "*" if form == "all" else f"{word(first)}-{word(draw(st.integers(first + 1, high)))}"
    return text + draw(st.sampled_from(["", "", f"/{draw(st.integers(1, high))}"]))


def field(low: int, high: int, names: list[str] | None = None) -> st.SearchStrategy[str]:
    listed = st.lists(part(low, high, names), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), listed)


expressions = st.tuples(
    field(0, 59), field(0, 23), field(1, 31), field(1, 12, MONTHS), field(0, 6, DAYS)
).map(" ".join)
moments = st.integers(946_684_800, 3_850_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))


@given(expressions, moments)
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_ticks_are_those_of_croniter(conn: psycopg.Connection, cron: str, after: datetime) -> None:
    # to croniter 1-31 is *; to Vixie, and to us, only what begins with * leaves a day open
    for text, numbers in zip(cron.split()[2::2], croniter.expand(cron)[0][2::2], strict=True):
        is_open = text.startswith("*")
        assume(is_open or ("*" not in text and numbers != ["*"] and len(numbers) not in (7, 31)))
    try:
        expected = croniter(cron, after, implement_cron_bug=True).get_next(datetime)
    except CroniterBadDateError:
        expected = after + 2 * EIGHT_YEARS
    if expected > after + EIGHT_YEARS:
        with pytest.raises(psycopg.Error, match="has no tick within 8 years"):
            tick(conn, cron, "UTC", after)
    else:
        assert tick(conn, cron, "UTC", after) == expected


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 0 29 2 *", "2096-02-29 00:00+00", "2104-02-29 00:00"),
        ("0 0 * * 7", "2026-01-01 00:00+00", "2026-01-04 00:00"),
        ("0 0 * * fri-sun", "2026-01-03 00:00+00", "2026-01-04 00:00"),
        ("0 0 13 * fri", "2026-02-01 00:00+00", "2026-02-06 00:00"),
        ("0 0 13 * */5", "2026-01-01 00:00+00", "2026-02-13 00:00"),
        ("50/5 * * * *", "2026-01-01 00:50+00", "2026-01-01 00:55"),
        ("@hourly", "2026-01-01 00:00+00", "2026-01-01 01:00"),
        ("@daily", "2026-01-01 00:00+00", "2026-01-02 00:00"),
        ("@weekly", "2026-01-01 00:00+00", "2026-01-04 00:00"),
        ("@monthly", "2026-01-01 00:00+00", "2026-02-01 00:00"),
        (" @Yearly\n", "2026-01-01 00:00+00", "2027-01-01 00:00"),
        ("* * * * *", "2026-01-01 00:00:59.999+00", "2026-01-01 00:01"),
        ("* * * * *", "1969-12-31 23:58:30+00", "1969-12-31 23:59"),
    ],
)
def test_what_an_expression_means(
    conn: psycopg.Connection, cron: str, after: str, expected: str
) -> None:
    assert tick(conn, cron, "UTC", after).strftime("%Y-%m-%d %H:%M") == expected


def test_seconds_tick_at_their_multiples(conn: psycopg.Connection) -> None:
    after = datetime(2026, 1, 1, 0, 0, 7, 500000, tzinfo=UTC)
    assert tick(conn, "5 seconds", "UTC", after) == after.replace(second=10, microsecond=0)
    at = tick(conn, "1 Second", "Europe/Berlin", after)
    assert at == after.replace(second=8, microsecond=0)
    assert tick(conn, "5 seconds", "UTC", at + timedelta(seconds=2)).second == 15


BERLIN, APIA, LORD_HOWE, HAVANA = (
    "Europe/Berlin",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Havana",
)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # clocks go forward at 01:00 UTC from 02:00 to 03:00
        ("30 2 * * *", BERLIN, "2026-03-28 00:00+00", ["28 01:30", "29 01:00", "30 00:30"]),
        ("*/20 2 * * *", BERLIN, "2026-03-28 23:00+00", ["29 01:00", "30 00:00", "30 00:20"]),
        ("0 2,3 * * *", BERLIN, "2026-03-29 00:00+00", ["29 01:00", "30 00:00"]),
        ("*/30 * * * *", BERLIN, "2026-03-29 00:00+00", ["29 00:30", "29 01:00", "29 01:30"]),
        ("0 */2 * * *", BERLIN, "2026-03-28 23:00+00", ["29 02:00", "29 04:00"]),
        # and back at 01:00 UTC from 03:00 to 02:00
        ("30 2 * * *", BERLIN, "2026-10-24 00:00+00", ["24 00:30", "25 00:30", "26 01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25 01:10+00", ["26 01:30"]),
        ("15,45 2 * * *", BERLIN, "2026-10-25 00:00+00", ["25 00:15", "25 00:45", "26 01:15"]),
        ("30 */2 * * *", BERLIN, "2026-10-24 23:00+00", ["25 00:30", "25 01:30", "25 03:30"]),
        ("0 * * * *", BERLIN, "2026-10-24 23:30+00", ["25 00:00", "25 01:00", "25 02:00"]),
        # a whole day is skipped
        ("0 12 * * *", APIA, "2011-12-29 12:00+00", ["29 22:00", "30 10:00", "30 22:00"]),
        ("0 * 30 12 *", APIA, "2011-12-29 12:00+00", ["29 10:00"]),
        # half an hour: 02:00 becomes 02:30, and 02:00 01:30
        ("15 2 * * *", LORD_HOWE, "2026-10-03 00:00+00", ["03 15:30", "04 15:15"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04 00:00+00", ["04 14:45", "05 15:15"]),
        # at midnight itself
        ("0 0 * * *", HAVANA, "2026-03-07 12:00+00", ["08 05:00", "09 04:00"]),
        ("30 0 * * *", HAVANA, "2026-11-01 03:00+00", ["01 04:30", "02 05:30"]),
    ],
)
def test_clocks_that_change(
    conn: psycopg.Connection, cron: str, zone: str, after: str, expected: list[str]
) -> None:
    assert ticks(conn, cron, zone, after, len(expected)) == expected


# when clocks changed, in UTC
CHANGES = {
    BERLIN: ("2019-03-31T01:00Z", "2019-10-27T01:00Z"),
    "America/New_York": ("2018-03-11T07:00Z", "2018-11-04T06:00Z"),
    "America/St_Johns": ("2009-03-08T03:31Z", "2009-11-01T02:31Z"),
    "America/Sao_Paulo": ("2017-10-15T03:00Z", "2018-02-18T02:00Z"),
    LORD_HOWE: ("2017-09-30T15:30Z", "2018-03-31T15:00Z"),
    APIA: ("2011-12-30T10:00Z",),
}
wall_fields = st.sampled_from(["*", "0", "30", "*/20", "1,59", "0-10", "45"])
wall_hours = st.sampled_from(["*", "*/2", "0", "1,2,3", "23", "0-23", "2", "0,12"])


@given(wall_fields, wall_hours, st.sampled_from(sorted(CHANGES)), st.data())
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_clocks_that_change_against_a_walk_by_the_minute(
    conn: psycopg.Connection, minute: str, hour: str, zone: str, data: Any
) -> None:
    change = datetime.fromisoformat(data.draw(st.sampled_from(CHANGES[zone])))
    after = change + timedelta(minutes=data.draw(st.integers(-300, 300)))
    cron = f"{minute} {hour} * * *"
    expected = walk(cron, hour, ZoneInfo(zone), after)
    assert tick(conn, cron, zone, after) == expected


def walk(cron: str, hour: str, zone: ZoneInfo, after: datetime) -> datetime:
    """The next tick, found by looking at the clocks each minute from two days before on."""
    minutes, hours = (range(60) if e[0] == "*" else e for e in croniter.expand(cron)[0][:2])

    def matches(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours

    at = after - timedelta(days=2)
    shown = at.astimezone(zone).replace(tzinfo=None)
    while True:
        at += timedelta(minutes=1)
        wall = at.astimezone(zone).replace(tzinfo=None)
        if hour.startswith("*"):
            found = matches(wall)
        else:
            # every time that is reached now and was not before
            passed = int((wall - shown) / timedelta(minutes=1))
            found = any(matches(wall - timedelta(minutes=back)) for back in range(passed))
            shown = max(shown, wall)
        if found and at > after:
            return at


@pytest.mark.parametrize(
    ("cron", "zone", "told", "hint"),
    [
        ("61 * * * *", "UTC", "minute of a cron expression cannot be '61'", "0 to 59"),
        ("* 24 * * *", "UTC", "hour of a cron expression cannot be '24'", "0 to 23"),
        ("* * 0 * *", "UTC", "day of month of a cron expression cannot be '0'", "1 to 31"),
        ("* * * mai *", "UTC", "month of a cron expression cannot be 'mai'", "jan to dec"),
        ("* * * * 8", "UTC", "day of week of a cron expression cannot be '8'", "7 is Sunday"),
        ("5-1 * * * *", "UTC", "minute of a cron expression cannot be '5-1'", "from low to high"),
        ("*/0 * * * *", "UTC", "minute of a cron expression cannot be '*/0'", "or */10"),
        ("1,,2 * * * *", "UTC", "minute of a cron expression cannot be ''", "0 to 59"),
        ("* * * *", "UTC", "a cron expression cannot be '* * * *'", "minute, hour"),
        ("* * * * * *", "UTC", "a cron expression cannot be '* * * * * *'", '"20 seconds"'),
        ("@reboot", "UTC", "a cron expression cannot be '@reboot'", "@hourly"),
        (None, "UTC", "a cron expression cannot be null", "minute, hour"),
        ("0 seconds", "UTC", "an interval cannot be 0 seconds", "1 to 86400"),
        ("0 0 31 feb *", "UTC", "'0 0 31 feb *' has no tick within 8 years", "that day"),
        ("* * * * *", None, "there is no time zone NULL", "pg_timezone_names"),
        ("* * * * *", "Europe/Berln", "there is no time zone 'Europe/Berln'", "pg_timezone_names"),
    ],
)
def test_what_is_no_schedule_is_refused_with_a_hint(
    conn: psycopg.Connection, cron: str | None, zone: str | None, told: str, hint: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select sluice.cron_next(%s, %s, now())", [cron, zone])
    assert caught.value.sqlstate == "IO400"
    assert caught.value.diag.message_primary == told
    assert hint in (caught.value.diag.message_hint or "")
