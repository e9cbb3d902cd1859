"""The README's session is run as printed, and its output compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

README = Path(__file__).parent.parent / "README.md"


def blocks() -> list[str]:
    """The console blocks, in order."""
    return re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a block: `$ ` begins a command, `> ` goes on with it."""
    found: list[tuple[str, str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line.startswith("> "):
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def expected(text: str) -> re.Pattern[str]:
    """The printed output; an ellipsis stands for anything."""
    return re.compile(".*?".join(re.escape(part) for part in text.split("…")) + r"\Z", re.DOTALL)


def test_the_session_runs_as_printed(service, pg_bindir, tmp_path: Path) -> None:
    steps = [step for block in blocks() for step in commands(block)]
    assert len(steps) > 12
    marker = "--- step ---"
    script = "\n".join(f"{command}\necho '{marker}'" for command, _ in steps)
    script = script.replace("localhost:8080", service.url.removeprefix("http://"))
    script = script.replace(".venv/bin/pgsluice psql", f'"{pg_bindir}/psql" -X -d "$PGSLUICE_DSN"')
    script = script.replace(".venv/bin/pgsluice", f'"{sys.executable}" -m pgsluice')
    told = {
        "SLUICE_URL": service.url,
        "DATABASE_URL": service.dsn,
        "PYTHONPATH": str(README.parent / "src"),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, **told, "PGSLUICE_DSN": service.dsn}, check=False,
    )  # fmt: skip
    printed = done.stdout.split(f"{marker}\n")[:-1]
    assert len(printed) == len(steps), done.stderr
    for (command, told), got in zip(steps, printed, strict=True):
        assert expected(told).match(got), f"$ {command}\n{got}\n{done.stderr}"


def test_the_two_commands_are_one_line_each() -> None:
    shell = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert [block.count("\n") for block in shell] == [1, 1]
    assert ".venv/bin/pgsluice serve" in shell[0]
    assert ".venv/bin/pytest" in shell[1]


def test_every_option_is_documented(conn: psycopg.Connection) -> None:
    names = conn.execute("select unnest(sluice.option_names())").fetchall()
    text = README.read_text()
    assert [name for (name,) in names if f"| `{name}` |" not in text] == []
