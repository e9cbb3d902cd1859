"""Where one JSON value ends, found with bounded work and without building it when it is large."""

from json import JSONDecodeError, JSONDecoder

from .nesting import Nesting
from .pieces import MAX_RECORD_BYTES

# A parser makes objects of what it reads, a scan for brackets does not: it takes over from here.
_SMALL = 256 * 1024
_WINDOWS = (16 * 1024, 1024 * 1024)
_NEAR = 16

# Only where a value ends is asked of this decoder: numbers stay text, controls are SQL's to judge.
_ANY = JSONDecoder(strict=False, parse_int=str, parse_float=str)


class NoValueError(ValueError):
    """The text at hand is no value; `pos` is where that showed, `cut` that more text may help."""

    def __init__(self, what: str, pos: int, *, cut: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.pos = pos
        self.cut = cut


class TooDeepError(ValueError):
    """The value is nested too deeply; `pos` is as far as it was read."""

    def __init__(self, pos: int) -> None:
        super().__init__()
        self.pos = pos


def value_end(text: str, pos: int) -> int:
    """The end of the value at `pos`; raises NoValueError or TooDeepError.

    A value of more than 1 MB is followed by its brackets alone: SQL judges what is inside.
    """
    if len(text) <= _SMALL:
        return _parsed_end(text, pos)
    for size in _WINDOWS:
        window = text[pos : pos + size]
        whole = pos + len(window) == len(text)
        try:
            end = _parsed_end(window, 0)
        except TooDeepError as error:
            raise TooDeepError(pos + error.pos) from None
        except NoValueError as error:
            if whole or not error.cut:
                raise NoValueError(error.what, pos + error.pos, cut=error.cut) from None
            continue
        if whole or not may_go_on(window, end):
            return pos + end
    if text[pos] not in '{["':
        raise NoValueError("a number is longer than 1 MB", pos + _WINDOWS[-1])
    return _bracketed_end(text, pos)


def may_go_on(text: str, end: int) -> bool:
    """Whether a value that ends there is a number of which the text at hand is not all."""
    # "-0." is read as -0, "1e+" as 1, with the rest behind it
    return len(text) - end <= 2 and text[end - 1] not in '}]"'


def _parsed_end(text: str, pos: int) -> int:
    try:
        return _ANY.raw_decode(text, pos)[1]
    except RecursionError:
        # the parser stops short of the limit: how far depends on who called it
        return _bracketed_end(text, pos)
    except JSONDecodeError as error:
        cut = error.pos + _NEAR >= len(text) or error.msg.startswith("Unterminated string")
        raise NoValueError(error.msg, error.pos, cut=cut) from None


def _bracketed_end(text: str, pos: int) -> int:
    nesting = Nesting(MAX_RECORD_BYTES)
    end = nesting.find_end(text, pos)
    if nesting.problem():
        raise TooDeepError(end if end >= 0 else len(text))
    if end < 0:
        raise NoValueError("a bracket or quote is never closed", len(text), cut=True)
    return end
