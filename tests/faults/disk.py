"""Disks that are full when a test says so."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_LARGE = 2**31


class Disk:
    """A disk in memory: `leave` so much of it free, then `free` it again."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def leave(self, spare: int = 0) -> None:
        """Have room for so many bytes more; what is there stays."""
        for _ in range(50):
            seen = os.statvfs(self.place)
            used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
            # who writes at this moment may be faster
            if self._resize(used + spare):
                return
        raise AssertionError(f"{self.place} cannot be filled")

    def free(self) -> None:
        """Have room again."""
        assert self._resize(_LARGE)

    def _resize(self, size: int) -> bool:
        command = ["mount", "-o", f"remount,size={size}", str(self.place)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def mounted(place: Path) -> Iterator[Disk]:
    """A disk of its own in this folder; the test is skipped where none may be mounted."""
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_LARGE},mode=0755", "tmpfs", str(place)]
    made = subprocess.run(mount, check=False, capture_output=True)
    if made.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
