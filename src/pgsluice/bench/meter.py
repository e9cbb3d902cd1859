"""What a piece of work costs: time, CPU, memory and WAL."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from . import proc
from .place import BenchError, Place, TooSlowError

_LOOK = 0.1


@dataclass(frozen=True)
class Figures:
    """The costs of one run; nothing where this machine does not tell."""

    seconds: float
    cpu: float  # of the program that does it: the service, psql, a peer
    cpu_postgres: float | None
    wal_bytes: int
    memory: int | None  # highest of the same program, with its children
    backends: int | None  # highest private memory of the sessions that worked for it, together


class Meter:
    """Measures what happens inside its `with` block; `limit` ends a program that takes longer."""

    def __init__(self, place: Place, limit: float) -> None:
        self.place, self.limit = place, limit
        self.figures: Figures | None = None
        self._watched: list[int] = []
        self._cpu = 0.0
        self._memory = self._backends = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Meter":
        self._wal = self._written()
        self._postgres = self._postgres_cpu()
        self._apart = set(self._sessions())
        self._thread.start()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._began
        self._over.set()
        self._thread.join()
        if kind is None:
            before, after = self._postgres, self._postgres_cpu()
            self.figures = Figures(
                seconds=seconds,
                cpu=self._cpu,
                cpu_postgres=None if before is None or after is None else after - before,
                wal_bytes=self._written() - self._wal,
                memory=self._memory or None,
                backends=self._backends or None,
            )

    def run(
        self,
        argv: list[str],
        *,
        stdin: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a program to its end and count it in; what it printed."""
        with (
            (stdin or Path(os.devnull)).open("rb") as source,
            tempfile.TemporaryFile("w+") as said,
        ):
            env = {**self.place.environ, **(environ or {})}
            process = subprocess.Popen(
                argv, stdin=source, stdout=said, stderr=subprocess.STDOUT, env=env,
                start_new_session=True,  # so that its children can be ended with it
            )  # fmt: skip
            self._watched.append(process.pid)
            is_late = threading.Event()
            timer = threading.Timer(self.limit, _end, (process, is_late))
            timer.daemon = True
            timer.start()
            try:
                self._cpu += _waited(process)
            except BaseException:
                _kill(process)
                raise
            finally:
                timer.cancel()
                self._watched.remove(process.pid)
            said.seek(0)
            words = said.read()
        name = Path(argv[0]).name
        if is_late.is_set():
            raise TooSlowError(f"{name} was ended after {self.limit:g} s")
        if process.returncode:
            raise BenchError(f"{name} failed: {words.strip()[-2000:]}")
        return words

    def watch(self, pid: int) -> None:
        """Count a process in that was there before and stays, and the sessions that it keeps."""
        self._apart -= {session for session in self._apart if proc.serves_client(session)}
        self._watched.append(pid)
        self._cpu -= proc.cpu_seconds(pid)

    def release(self, pid: int) -> None:
        """Its work is done."""
        self._cpu += proc.cpu_seconds(pid)
        self._watched.remove(pid)

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            pids = [pid for watched in list(self._watched) for pid in proc.family(watched)]
            self._memory = max(self._memory, sum(map(proc.proportional_bytes, pids)))
            sessions = set(self._sessions()) - self._apart
            self._backends = max(self._backends, sum(map(proc.private_bytes, sessions)))

    def _sessions(self) -> list[int]:
        return proc.children(self.place.postmaster) if self.place.postmaster else []

    def _postgres_cpu(self) -> float | None:
        pid = self.place.postmaster
        return proc.cpu_seconds(pid) if pid else None

    def _written(self) -> int:
        return int(self.place.ask("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def _end(process: subprocess.Popen[bytes], is_late: threading.Event) -> None:
    is_late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _waited(process: subprocess.Popen[bytes]) -> float:
    """The CPU seconds of a program with its children, once it has ended."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime
