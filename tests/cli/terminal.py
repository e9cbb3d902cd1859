"""A program in a terminal of its own: what it draws, and the keys that it is sent."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Self

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs a command on a pty of so many columns."""

    def __init__(
        self, line: list[str], folder: Path, environ: dict[str, str], columns: int
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.raw = ""
        self._process = subprocess.Popen(
            line, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """All that was drawn, without colours and moves of the cursor."""
        return _ESCAPES.sub("", self.raw)

    def until(self, pattern: str, seconds: float = 60) -> str:
        """Read until something is drawn; what matched."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.text[-2000:]}"
            assert self._read(0.1) or self._process.poll() is None, self.text[-2000:]
        return found[0]

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def end(self, seconds: float = 60) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + seconds
        while self._process.poll() is None or self._read(0.05):
            assert time.monotonic() < end, self.text[-2000:]
            self._read(0.1)
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        """Take in what is there; False when nothing comes."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            block = os.read(self._ours, 65536)
        except OSError:  # the last one who wrote has closed it
            return False
        self.raw += block.decode(errors="replace")
        return bool(block)
