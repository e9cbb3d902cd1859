"""How much this machine's cores do at once: on shared machines they may be less than they are."""

import os
import subprocess
import sys

_SECONDS = 0.4
_COUNT = f"""
import time
end, count = time.perf_counter() + {_SECONDS}, 0
while time.perf_counter() < end:
    count += 1
print(count)
"""


def work_at_once() -> float:
    """What all cores do at once, as a multiple of what one does alone; takes about a second.

    2.0 on two cores of one's own; near 1 where others use them, or a quota is spent.
    """
    return _counted(os.cpu_count() or 1) / _counted(1)


def _counted(processes: int) -> int:
    running = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", _COUNT], stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    return sum(int(one.communicate()[0]) for one in running)
