"""Memory: how much a process has, what of it goes back at once, and what stays to the end."""

import ctypes
import gc
import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("pgsluice.memory")

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 2 * 1024 * 1024


def return_large_buffers() -> None:
    """Have glibc map each buffer of 2 MB or more by itself; other systems are left as they are.

    Its default raises that limit to 32 MB once such a buffer was freed, and from then on keeps
    in its heaps what a few records of 50 MB took.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
    except (OSError, AttributeError, TypeError) as exc:
        log.debug("mallopt is not available: %s", exc)


def spare_the_collector() -> None:
    """Have the collector pass over all that is there now, once everything is imported and built.

    It stays to the end: to walk it at each full collection finds nothing, and at the end of the
    process costs a quarter of a second.
    """
    gc.freeze()


def resident_bytes(pid: int | str = "self") -> int:
    """The resident memory of a process; 0 where /proc does not tell, or when it has gone."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
