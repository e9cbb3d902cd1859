"""What both programs do before they touch a byte: bounds on themselves, and how they give up."""

import resource
import sys
from collections.abc import Callable
from typing import NoReturn

from .child import REFUSED

# Of its own data, code and libraries apart. A file of 100 columns takes 150 MB.
MEMORY = 1024 * 1024 * 1024


class RefusedError(Exception):
    """The work cannot be done; the text says why and what to do."""


def refuse(why: str) -> NoReturn:
    """End with a sentence for whoever asked."""
    sys.stderr.write(why)
    sys.stderr.flush()
    raise SystemExit(REFUSED)


def run(main: Callable[[], None], too_much: str) -> None:
    """Carry a program out within its bounds; `too_much` is said when they do not suffice."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        main()
    except RefusedError as exc:
        refuse(str(exc))
    except MemoryError:
        refuse(f"it takes more than {MEMORY // 1048576} MB of memory: {too_much}")
    except BrokenPipeError:
        # nobody reads it any more
        raise SystemExit(1) from None
