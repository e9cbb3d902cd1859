"""A Parquet file written while its rows come, by a program of its own."""

import json
import threading
from typing import Any

from ..errors import ProblemError
from .child import Child, require


class ParquetWriter:
    """Takes the output of COPY as CSV; each call returns the bytes that are ready.

    `close` is to be called however it ends.
    """

    def __init__(self, about: Any) -> None:
        """ProblemError where the extra is not installed."""
        require()
        self._child = Child("write", json.dumps(about["columns"]))
        self._ready = bytearray()
        self._working = threading.Lock()
        self._lock = threading.Lock()
        # it may write while it is written to
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def add(self, block: bytes) -> bytes:
        """Rows, cut anywhere; ProblemError for a value that no Parquet file can hold."""
        left = memoryview(block)
        with self._working:
            try:
                while left:
                    left = left[self._child.input.write(left) or 0 :]
            except BrokenPipeError:
                self._refuse()
        return self._taken()

    def end(self) -> bytes:
        """The rows were whole."""
        with self._working:
            self._child.input.close()
            self._reading.join()
            self._refuse()
        return self._taken()

    def close(self) -> None:
        """Leave nothing of it."""
        self._child.kill()
        # a thread may still be at work that nobody waits for: it ends now
        with self._working:
            self._reading.join()
            self._child.close()

    def _refuse(self) -> None:
        """ProblemError if the program has given up."""
        if (why := self._child.refusal()) is not None:
            raise ProblemError(400, f"the export cannot be a Parquet file: {why}")

    def _read(self) -> None:
        while data := self._child.output.read(256 * 1024):
            with self._lock:
                self._ready += data

    def _taken(self) -> bytes:
        with self._lock:
            taken = bytes(self._ready)
            self._ready.clear()
        return taken
