"""In a terminal: bars, Ctrl-C, narrow windows; on a pipe nothing of it."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from .conftest import Command, million

# Each step of a merge into users lasts for two seconds more.
_SLOW = """
create function public.slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(2); return null; end $$;
create trigger slow after insert on app.users for each statement execute function public.slow();
"""
_ROWS = 60_000


@pytest.fixture
def slow(database: psycopg.Connection) -> Iterator[None]:
    """Imports are slow enough for somebody to press a key."""
    database.execute(_SLOW.encode())
    yield
    database.execute("drop function public.slow() cascade")


@pytest.fixture
def big(file: Callable[..., Path], request: pytest.FixtureRequest) -> Path:
    """A file that takes two steps to merge."""
    return file("big.csv", million(_ROWS, request.node.name))


def test_bars_tell_of_bytes_then_of_rows(command: Command, big: Path, slow: None) -> None:
    with command.terminal("import", "users", "big.csv", "--follow") as terminal:
        terminal.until(r"big\.csv ━+ \S+ MB/\S+ MB +\S+ MB/s")
        terminal.until(r"rows +━+.* rows merge .*[\d,]+/s +\d\d:\d\d")
        assert terminal.end() == 0
        assert "big.csv: clean" in terminal.text
        assert re.search(r"60,000 rows completed", terminal.text)
        assert "\x1b[32mclean\x1b[0m" in terminal.raw


def test_ctrl_c_asks_the_service_to_cancel(
    command: Command, big: Path, slow: None, http: httpx.Client
) -> None:
    with command.terminal("import", "users", "big.csv", "--follow") as terminal:
        terminal.until("rows merge")
        terminal.interrupt()
        terminal.until("asking the service to cancel; Ctrl-C again leaves at once")
        assert terminal.end() == 130
        assert "big.csv: cancelled" in terminal.text
        told = re.search(r"([\d,]+) records were written before that|nothing was written",
                         terminal.text)  # fmt: skip
    job = http.get("/v1/jobs?limit=1").json()["jobs"][0]
    assert job["status"] == "cancelled"
    kept = job["counts"]["inserted"]
    assert told
    assert told[0] == (f"{kept:,} records were written before that" if kept else told[0])


def test_a_second_ctrl_c_leaves_at_once(command: Command, big: Path, slow: None) -> None:
    with command.terminal("import", "users", "big.csv", "--follow") as terminal:
        terminal.until("rows merge")
        terminal.interrupt()
        terminal.interrupt()
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text


def test_ctrl_c_in_the_upload_leaves_nothing(
    command: Command, http: httpx.Client, database: psycopg.Connection
) -> None:
    jobs = len(http.get("/v1/jobs?limit=1000").json()["jobs"])
    script = "(printf email,nam; sleep 30) | $PROGRAM import users - --format csv --follow"
    with command.shell(script) as terminal:
        terminal.until("standard input .* 9 bytes")
        terminal.interrupt()
        terminal.until("not sent whole, so nothing was written")
        assert "Traceback" not in terminal.text
    assert len(http.get("/v1/jobs?limit=1000").json()["jobs"]) == jobs


def test_following_a_job_leaves_it_alone(command: Command, big: Path, slow: None) -> None:
    job = json.loads(command("import", "users", "big.csv", "--json").stdout)["job_id"]
    with command.terminal("jobs", "follow", job) as terminal:
        terminal.until("rows (merge|cast|match)")
        terminal.interrupt()
        assert terminal.end() == 130
        assert f"the job goes on: pgsluice jobs follow {job}" in " ".join(terminal.text.split())
    done = command("jobs", "follow", job)
    assert (done.returncode, done.stderr) == (0, "")
    assert "60,000 inserted" in done.stdout


def test_narrow_terminals_and_no_color(command: Command, big: Path) -> None:
    command.environ["NO_COLOR"] = "1"
    with command.terminal("import", "users", "big.csv", "--follow", columns=40) as terminal:
        assert terminal.end() == 0
        assert "\x1b[3" not in terminal.raw.replace("\x1b[?25", "")
        drawn = [line.rstrip() for line in re.split(r"[\r\n]+", terminal.text)]
        assert max(map(len, drawn)) <= 40 or all(
            "━" not in line for line in drawn if len(line) > 40
        )
    with command.terminal("jobs", columns=40) as terminal:
        assert terminal.end() == 0
        assert re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", terminal.text)


def test_a_pipe_gets_no_bars_and_no_colours(command: Command, big: Path) -> None:
    done = command("import", "users", "big.csv", "--follow")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
