"""Wires that break, services that die, disks that are full: nothing twice, nothing half."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from ..conftest import Service, stop
from .conftest import Command, in_a_line, million
from .cut import Wire

_ROWS = 20_000


@pytest.fixture
def big(file: Callable[..., Path], request: pytest.FixtureRequest) -> Path:
    """A file of which a part is on its way when the wire breaks."""
    return file("big.csv", million(_ROWS, request.node.name.replace("[", "").replace("]", "")))


def _jobs(http: httpx.Client) -> list[str]:
    return [job["job_id"] for job in http.get("/v1/jobs?limit=1000").json()["jobs"]]


@pytest.mark.parametrize(("up", "down"), [(200_000, None), (None, 0)], ids=["upload", "reply"])
def test_a_wire_that_breaks_once_makes_one_import(
    command: Command, big: Path, http: httpx.Client, service: Service,
    up: int | None, down: int | None, database: psycopg.Connection,
) -> None:  # fmt: skip
    before = _jobs(http)
    with Wire(service.url, breaks={1}, up=up, down=down) as wire:
        done = command("import", "users", "big.csv", "--follow", SLUICE_URL=wire.url)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"the connection to \S+ broke \(.+\); sending big.csv again\n", done.stderr)
    assert "20,000 inserted" in done.stdout
    assert len(_jobs(http)) == len(before) + 1


def test_a_service_that_dies_in_mid_upload_can_be_gone_on_with(
    start_service: Callable[..., Service], command: Command, big: Path, tmp_path: Path
) -> None:
    first = start_service()
    stop(first.process)
    dead = in_a_line(command("import", "users", "big.csv", SLUICE_URL=first.url))
    assert "no service answers" in dead
    again = start_service(beside=first)
    with Wire(again.url, breaks=range(1, 99), up=200_000) as wire:
        done = command("import", "users", "big.csv", "--follow", SLUICE_URL=wire.url)
    assert (done.returncode, done.stdout) == (1, "")
    told = " ".join(done.stderr.split())
    # a small file is in the buffers of this machine as soon as it is sent
    assert re.search("the file was (not )?sent whole, ", told)
    key = re.search(r"--idempotency-key (\w+)", told)
    assert key
    words = ("import", "users", "big.csv", "--follow", "--idempotency-key", key[1])
    for _ in range(2):
        done = command(*words, SLUICE_URL=again.url)
        assert done.returncode == 0, done.stderr
        assert "20,000 inserted" in done.stdout
    assert len(httpx.get(f"{again.url}/v1/jobs").json()["jobs"]) == 1


def test_following_survives_a_lost_connection(
    command: Command, big: Path, service: Service, database: psycopg.Connection
) -> None:
    # the upload goes through; the events and the look behind them do not
    with Wire(service.url, breaks={2, 3}, down=0) as wire:
        done = command("import", "users", "big.csv", "--follow", SLUICE_URL=wire.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "20,000 inserted" in done.stdout


def test_an_export_that_breaks_leaves_no_file(
    command: Command, big: Path, service: Service, tmp_path: Path, database: psycopg.Connection
) -> None:
    assert command("import", "users", "big.csv", "--follow").returncode == 0
    (tmp_path / "old.csv").write_text("as it was\n")
    with Wire(service.url, breaks=range(1, 99), down=300_000) as wire:
        for name in ("new.csv", "old.csv", "new.csv.gz"):
            done = command("export", "users", "-o", name, SLUICE_URL=wire.url)
            assert f"nothing was left at {name}" in in_a_line(done)
        done = command("export", "users", SLUICE_URL=wire.url)
        assert done.returncode == 1
        assert "what was written is not whole" in done.stderr
    assert (tmp_path / "old.csv").read_text() == "as it was\n"
    assert {path.name for path in tmp_path.iterdir()} == {"big.csv", "old.csv"}


def test_a_full_disk_is_said_in_a_line(
    command: Command, big: Path, database: psycopg.Connection
) -> None:
    assert command("import", "users", "big.csv", "--follow").returncode == 0
    full = in_a_line(command("export", "users", "-o", "/dev/full"))
    assert "/dev/full cannot be written: No space left on device" in full
    assert Path("/dev/full").is_char_device()
    with Path("/dev/full").open("wb") as sink:
        process = command.start("export", "users", stdout=sink, stderr=-1)
        told = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 1
    assert told.startswith("pgsluice: standard output cannot be written: No space left")


def test_whoever_has_read_enough_is_no_error(
    command: Command, big: Path, database: psycopg.Connection
) -> None:
    assert command("import", "users", "big.csv", "--follow").returncode == 0
    process = command.start("export", "users", stdout=-1, stderr=-1)
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline().startswith(b'{"id"')
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(20) == 141
    process.stderr.close()


def test_the_memory_of_the_client_does_not_grow_with_the_file(
    command: Command, file: Callable[..., Path], database: psycopg.Connection
) -> None:
    peaks: list[int] = []
    for cells in (2, 60):
        cell = '"{""note"": ""' + "n" * 1_000_000 + '""}"'
        rows = (f"x{number}@example.org,Ann,reader,{cell}\n" for number in range(cells))
        text = "email,name,role,metadata\n" + "".join(rows)
        process = command.start(
            "import", "users", file("wide.csv", text), "--follow", stdout=subprocess.DEVNULL
        )
        peaks.append(0)
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            peaks[-1] = int(found[1]) // 1024 if found else peaks[-1]
            time.sleep(0.01)
        assert process.returncode == 0
    assert peaks[1] - peaks[0] < 20, peaks
