"""A real `pgsluice serve`, and a client of it over HTTP."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from .place import BenchError, Place

_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Service:
    """A running service: its port and its process."""

    port: int
    pid: int

    def upload(self, resource: str, form: str, path: Path) -> Any:
        """A file over HTTP, from its first byte to the end of the job; the job."""
        job = self.send(resource, form, path, wait=60)
        while job["status"] not in ("completed", "failed", "cancelled"):
            time.sleep(0.05)
            job = self.call("GET", f"/v1/imports/{job['id']}")
        if job["status"] != "completed":
            raise BenchError(f"the import {job['status']}: {job['error']}")
        return job

    def send(self, resource: str, form: str, path: Path, *, wait: int = 0) -> Any:
        """A file over HTTP; the job as it is when it was accepted, or `wait` seconds later."""
        headers = {
            "Content-Type": _TYPES[form],
            "Content-Length": str(path.stat().st_size),
            **({"Prefer": f"wait={wait}"} if wait else {}),
        }
        with path.open("rb") as file:
            return self.call("POST", f"/v1/imports?resource={resource}", file, headers)

    def download(self, resource: str, form: str, to: Path | None = None) -> int:
        """All rows over HTTP, thrown away or kept gzipped in `to`; the number of line ends."""
        coding = {"Accept-Encoding": "gzip"} if to else {}
        conn = self._send("GET", f"/v1/exports?resource={resource}&format={form}", None, coding)
        reply = _expect(conn, 200)
        ends = 0
        with (to or Path(os.devnull)).open("wb") as file:
            while block := reply.read(_BLOCK):
                ends += block.count(b"\n")
                file.write(block)
        conn.close()
        return ends

    def call(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """One request; its reply, which must be JSON and not an error."""
        conn = self._send(method, target, body, headers or {})
        reply = json.loads(_expect(conn, 200, 201, 202).read())
        conn.close()
        return reply

    def _send(self, method: str, target: str, body: Any, headers: dict[str, str]) -> HTTPConnection:
        conn = HTTPConnection("127.0.0.1", self.port, timeout=3600, blocksize=_BLOCK)
        conn.request(method, target, body, headers)
        return conn


def _expect(conn: HTTPConnection, *statuses: int) -> HTTPResponse:
    reply = conn.getresponse()
    if reply.status not in statuses:
        raise BenchError(f"the service answered {reply.status}: {reply.read(500)!r}")
    return reply


@contextmanager
def serving(place: Place, *more: str) -> Iterator[Service]:
    """A service on a free port for as long as the block lasts; settings as the environment has."""
    command = [sys.executable, "-m", "pgsluice", "serve", "--port", "0", *more]
    environ = {
        **os.environ,
        "DATABASE_URL": place.dsn,
        "SLUICE_LOG_FORMAT": "json",
        "SLUICE_STORE": str(place.folder / "store"),
    }
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if line.startswith("listening on "):
                    yield Service(int(line.rpartition(":")[2]), process.pid)
                    return
            raise BenchError("the service did not start")
        except BenchError as exc:
            log.seek(0)
            exc.add_note(log.read()[-4000:])
            raise
        finally:
            process.terminate()
