"""Days before and behind the calendar of Python: Postgres has them from 4713 BC to 5874897."""

import re

_MICROS = 1_000_000
_DAY = 86_400 * _MICROS
_DATE = re.compile(
    r"(\d{4,7})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?)?( BC)?"
)


def days_of(text: str) -> int:
    """The days since 1970 of a date as Postgres writes it; ValueError for what is none."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year = int(found[1])
    return _days(1 - year if found[8] else year, int(found[2]), int(found[3]))


def micros_of(text: str) -> int:
    """The microseconds since 1970 of a time as Postgres writes it; ValueError for what is none."""
    found = _DATE.fullmatch(text)
    if found is None or found[4] is None:
        raise ValueError(text)
    seconds = 3600 * int(found[4]) + 60 * int(found[5]) + int(found[6])
    return _DAY * days_of(text) + _MICROS * seconds + int((found[7] or "").ljust(6, "0"))


def date_text(days: int) -> str:
    """The date that lies so many days behind 1970, as Postgres reads it."""
    year, month, day = _civil(days)
    text = f"{year if year > 0 else 1 - year:04}-{month:02}-{day:02}"
    return text if year > 0 else f"{text} BC"


def moment_text(value: int, per_second: int, zone: str) -> str:
    """The same of a time, given in so many parts of a second; `zone` is "+00" or nothing."""
    seconds, part = divmod(value, per_second)
    days, second = divmod(seconds, 86_400)
    date, _, era = date_text(days).partition(" ")
    width = len(str(per_second)) - 1
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    fraction = f".{part:0{width}}" if width else ""
    return f"{date} {clock}{fraction}{zone}{' BC' if era else ''}"


def _days(year: int, month: int, day: int) -> int:
    """By the Gregorian calendar, also before it was there; a year begins in March here."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + 365 * of_era + of_era // 4 - of_era // 100 + of_year - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return era * 400 + year + (month <= 2), month, day
