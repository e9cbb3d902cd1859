"""The runs of `pgsluice bench`, and their table."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from ..memory import resident_bytes
from . import users

SCRIPT = Path(__file__).with_name("script.sql")
COLUMNS = "id, email, name, role, active"


@dataclass
class Bench:
    """One database, one service, one file; seconds by name."""

    dsn: str
    psql: str
    port: int
    folder: Path
    rows: int
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, name: str, work: Callable[..., None], *args: object) -> None:
        began = time.perf_counter()
        work(*args)
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)

    def sql(self, text: str, stdin: Path = Path(os.devnull)) -> None:
        """psql with one command, or with the script when `text` is a path."""
        source = ["-f", text] if text.endswith(".sql") else ["-c", text]
        command = [self.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.dsn, *source]
        with stdin.open() as file:
            subprocess.run(command, check=True, stdin=file, stdout=subprocess.DEVNULL)

    def empty(self) -> None:
        """The table as on the first day, and nothing left to write from what went before."""
        self.sql("set client_min_messages = warning; truncate app.users cascade")
        self.sql("checkpoint")

    def upload(self) -> None:
        """The file over HTTP, from its first byte to the end of the job."""
        job = self._post(self.folder / "users.csv")
        while job["status"] not in ("completed", "failed", "cancelled"):
            time.sleep(0.05)
            job = self._get(f"/v1/imports/{job['id']}")
        if job["status"] != "completed":
            raise RuntimeError(f"the import {job['status']}: {job['error']}")

    def download(self, form: str) -> None:
        """All users over HTTP, thrown away."""
        conn = HTTPConnection("127.0.0.1", self.port, timeout=600)
        conn.request("GET", f"/v1/exports?resource=users&format={form}")
        reply = conn.getresponse()
        if reply.status != 200:
            raise RuntimeError(f"the export answered {reply.status}")
        while reply.read(1 << 17):
            pass
        conn.close()

    def _post(self, path: Path) -> Any:
        conn = HTTPConnection("127.0.0.1", self.port, timeout=600)
        with path.open("rb") as file:
            headers = {"Content-Type": "text/csv", "Content-Length": str(path.stat().st_size)}
            conn.request("POST", "/v1/imports?resource=users", file, headers)
            return _answer(conn, 202)

    def _get(self, target: str) -> Any:
        conn = HTTPConnection("127.0.0.1", self.port, timeout=600)
        conn.request("GET", target)
        return _answer(conn, 200)


def _answer(conn: HTTPConnection, status: int) -> Any:
    reply = conn.getresponse()
    body = reply.read()
    conn.close()
    if reply.status != status:
        raise RuntimeError(f"the service answered {reply.status}: {body[:500]!r}")
    return json.loads(body)


def measure(bench: Bench, runs: int, pid: int) -> dict[str, Any]:
    """Every run in turn, `runs` times over; the report as a dictionary."""
    dirty, clean = bench.folder / "users.csv", bench.folder / "clean.csv"
    users.write(dirty, clean, bench.rows)
    with _peak_rss(pid) as peak:
        for _ in range(runs):
            bench.empty()
            bench.timed("script first", bench.sql, str(SCRIPT), dirty)
            bench.timed("script again", bench.sql, str(SCRIPT), dirty)
            bench.empty()
            floor = f"\\copy app.users ({COLUMNS}) from pstdin with (format csv, header)"
            bench.timed("copy floor", bench.sql, floor, clean)
            bench.empty()
            bench.timed("pgsluice first", bench.upload)
            bench.timed("pgsluice again", bench.upload)
            _exports(bench)
    return _report(bench, peak)


def _exports(bench: Bench) -> None:
    for form, query in (
        ("csv", "\\copy app.users to pstdout with (format csv, header)"),
        ("ndjson", "\\copy (select row_to_json(u) from app.users as u) to pstdout"),
    ):
        bench.timed(f"psql export {form}", bench.sql, query)
        bench.timed(f"pgsluice export {form}", bench.download, form)


@contextmanager
def _peak_rss(pid: int) -> Iterator[dict[str, float]]:
    """Resident memory of the service in MB: before, and the peak while the block runs."""
    seen = {"before_mb": _rss(pid), "peak_mb": 0.0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            seen["peak_mb"] = max(seen["peak_mb"], _rss(pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _rss(pid: int) -> float:
    return resident_bytes(pid) / 1e6


RATIOS = (
    ("first load", "pgsluice first", "script first"),
    ("first load, bare \\copy (the floor)", "copy floor", "script first"),
    ("the same file again", "pgsluice again", "script again"),
    ("csv export, rate", "psql export csv", "pgsluice export csv"),
    ("ndjson export, rate", "psql export ndjson", "pgsluice export ndjson"),
)


def _report(bench: Bench, peak: dict[str, float]) -> dict[str, Any]:
    median = {name: statistics.median(times) for name, times in bench.seconds.items()}
    return {
        "rows": bench.rows,
        "seconds": {n: [round(s, 2) for s in times] for n, times in bench.seconds.items()},
        "ratios": {name: round(median[ours] / median[theirs], 2) for name, ours, theirs in RATIOS},
        "resident": {name: round(mb, 1) for name, mb in peak.items()},
    }


def show(report: dict[str, Any]) -> None:
    """The report as two small tables."""
    print(f"{report['rows']} users, seconds (median of {len(report['seconds']['copy floor'])})")
    for name, times in report["seconds"].items():
        print(f"  {name:24} {statistics.median(times):8.2f}   {min(times):.2f} to {max(times):.2f}")
    print("ratio to psql in the same run")
    for name, ratio in report["ratios"].items():
        print(f"  {name:36} {ratio:6.2f}")
    resident = report["resident"]
    print(
        f"resident memory of the service: {resident['before_mb']} MB, peak {resident['peak_mb']} MB"
    )


@contextmanager
def service(dsn: str) -> Iterator[tuple[int, int]]:
    """A real `pgsluice serve` on a free port; its port and process id."""
    command = [sys.executable, "-m", "pgsluice", "serve", "--port", "0", "--migrate"]
    environ = {**os.environ, "DATABASE_URL": dsn, "SLUICE_LOG_FORMAT": "json"}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if line.startswith("listening on "):
                    yield int(line.rpartition(":")[2]), process.pid
                    return
            log.seek(0)
            raise RuntimeError(f"the service did not start: {log.read()[-2000:]}")
        finally:
            process.terminate()
