"""What a cell of a spreadsheet shows, as text: numbers without noise, dates by ISO 8601."""

import re
from datetime import date, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Literal

Shape = Literal["", "date", "time", "moment", "span"]

_DIGITS = re.compile(r"-?[0-9]{1,15}")
_MICROSECONDS = 86_400_000_000
_SECOND = 1_000_000
_DAYS = {False: date(1899, 12, 30), True: date(1904, 1, 1)}
_LAST_DAY = {False: 2_958_466, True: 2_957_004}  # both are 10000-01-01
# Sums are off by some 2 microseconds; a value that near a second was meant to be one.
_NEAR = 2
_EXCEL = Context(prec=15)
_NOISELESS = 12

# Formats that a file names only by number; 27 to 36 and 50 to 58 are dates of East Asia.
_DATES = {14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)}
_TIMES = {18, 19, 20, 21, 32, 33, 34, 35, 45, 47}
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE | re.DOTALL)
_CLOCK = re.compile(r"[hs]|am/pm|a/p", re.IGNORECASE)


def number_text(stored: str) -> str:
    """A stored number as people mean it: 0.30000000000000004 is 0.3, 5.0 is 5, 1E3 is 1000."""
    if _DIGITS.fullmatch(stored):
        return stored
    try:
        number = Decimal(stored)
    except InvalidOperation:
        return stored
    if not number.is_finite() or abs(number.adjusted()) > 400:
        return stored
    if not (number == number.to_integral_value() and "e" not in stored.lower()):
        number = _without_noise(number)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _without_noise(number: Decimal) -> Decimal:
    """Without the digits that binary arithmetic adds behind the fifteenth."""
    if len(number.as_tuple().digits) <= 15:
        return number
    rounded = _EXCEL.plus(number)
    if len(rounded.normalize().as_tuple().digits) <= _NOISELESS:
        return rounded
    try:
        return Decimal(repr(float(number)))
    except OverflowError:
        return number


def shape_of_code(code: str) -> Shape:
    """What a number format such as `dd/mm/yy hh:mm` makes of a number: "" leaves it one."""
    plain = _LITERAL.sub("", code.partition(";")[0]).lower()
    if "general" in plain:
        return ""
    if re.search(r"\[[hms]+\]", plain):
        return "span"
    has_clock, has_date = bool(_CLOCK.search(plain)), "y" in plain or "d" in plain
    if not (has_clock or has_date):
        # a month alone, unless the m belongs to a number
        return "date" if "m" in plain and not re.search(r"[0#?]", plain) else ""
    if has_date:
        return "moment" if has_clock else "date"
    return "time"


def shape_of_number(number: int) -> Shape:
    """The same of a format that Excel has built in."""
    if number in _DATES:
        return "date"
    if number in _TIMES:
        return "time"
    return {22: "moment", 46: "span"}.get(number, "")  # type: ignore[return-value] # both are shapes


def moment_text(stored: str, shape: Shape, *, is_1904: bool) -> str:
    """A date, time or span by ISO 8601; the number itself where it is no day of the calendar."""
    try:
        serial = float(stored)
    except ValueError:
        return stored
    if not 0 <= serial < _LAST_DAY[is_1904]:
        return number_text(stored)
    days, micros = _split(serial)
    if shape == "span":
        return _clock(micros, days * 24)
    if shape == "time" or (shape == "moment" and serial < 1 and not is_1904):
        return _clock(micros)
    day = _day(days, is_1904=is_1904)
    return day if shape == "date" and not micros else f"{day}T{_clock(micros)}"


def _split(serial: float) -> tuple[int, int]:
    days = int(serial)
    micros = round((serial - days) * _MICROSECONDS)
    second = round(micros / _SECOND) * _SECOND
    if abs(micros - second) <= _NEAR:
        micros = second
    return days + micros // _MICROSECONDS, micros % _MICROSECONDS


def _day(days: int, *, is_1904: bool) -> str:
    if not is_1904 and days == 60:
        return "1900-02-29"  # of a year that had none, as Excel has it
    shift = 1 if not is_1904 and days < 60 else 0
    return (_DAYS[is_1904] + timedelta(days + shift)).isoformat()


def _clock(micros: int, hours: int = 0) -> str:
    seconds, fraction = divmod(micros, _SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hours + hour:02}:{minute:02}:{second:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text
