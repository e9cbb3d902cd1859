"""What /proc tells of processes: CPU seconds and memory; zero or nothing where it does not."""

import os
import time
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    with suppress(OSError):
        return [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    return []


def family(pid: int) -> list[int]:
    """The process with all below it."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def cpu_seconds(pid: int) -> float:
    """CPU of a process, of those it has waited for, and of all that run below it."""
    while True:
        members = family(pid)
        total = sum(_ticks(one, 11, 15) for one in members)
        # one that ends meanwhile would be counted twice or not at all
        if family(pid) == members:
            return total / _TICK
        time.sleep(0.01)


def serves_client(pid: int) -> bool:
    """Whether a process of Postgres is a session, by its title: user, database, address(port)."""
    with suppress(OSError):
        return b"(" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _ticks(pid: int, first: int, last: int) -> float:
    """utime, stime, cutime and cstime stand after the name, which may hold anything."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return float(sum(int(word) for word in words[first:last]))
    return 0


def proportional_bytes(pid: int) -> int:
    """Memory of a process, a page shared by n counted as an nth; else its resident memory."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return _pages(pid)[0] * os.sysconf("SC_PAGE_SIZE")


def private_bytes(pid: int) -> int:
    """Resident memory that is neither a file nor shared: of a backend, without shared_buffers."""
    resident, shared = _pages(pid)
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _pages(pid: int) -> tuple[int, int]:
    # smaps_rollup would be exact, but walks all of shared_buffers: 15 ms for each look
    with suppress(OSError):
        words = Path(f"/proc/{pid}/statm").read_text().split()
        return int(words[1]), int(words[2])
    return 0, 0
