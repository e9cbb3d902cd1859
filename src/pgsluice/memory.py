"""Memory that a large record took goes back to the system at once."""

import ctypes
import logging

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
