"""Starts the two programs that use pyarrow, and hears why they gave up."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from ..errors import ProblemError
from ..ingest.spool import unnamed_file

MISSING = "this service has no Parquet: pip install 'pgsluice[parquet]' where it runs"
REFUSED = 3
_PASSED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
_LONGEST = 2000


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("pyarrow") is not None


def require() -> None:
    """ProblemError when the extra is not there."""
    if not is_installed():
        raise ProblemError(400, MISSING)


class Child:
    """One run of a program; killed by `close` unless it has ended."""

    def __init__(self, program: str, *arguments: str, files: tuple[int, ...] = ()) -> None:
        self._said = unnamed_file()
        # No secrets, and the very package that we are.
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", "-m", f"pgsluice.parquet.{program}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            pass_fds=files,
            env=environment,
            bufsize=0,
        )

    @property
    def input(self) -> IO[bytes]:
        """What it reads."""
        return _open(self.process.stdin)

    @property
    def output(self) -> IO[bytes]:
        """What it writes."""
        return _open(self.process.stdout)

    def refusal(self) -> str | None:
        """Wait for its end: None when all went well, else why it did not.

        RuntimeError when it failed by a fault of ours.
        """
        code = self.process.wait()
        if code == 0:
            return None
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        if code == REFUSED:
            return said[:_LONGEST]
        if code < 0:
            return f"the program that does it was ended by signal {-code}"
        raise RuntimeError(f"the Parquet program ended with {code}: {said[-_LONGEST:]}")

    def kill(self) -> None:
        """Have it end now; whoever reads from it sees the end."""
        self.process.kill()

    def close(self) -> None:
        """Leave nothing of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._said):
            if stream is not None:
                stream.close()


def _open(stream: IO[Any] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the program was started without pipes")
    return stream
