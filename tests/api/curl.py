"""curl, as the earlier systems' pages print it: the real program on the real socket."""

import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Reply:
    """What curl showed: the last status, its headers in lower case, the body."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def curl(line: str, base: str, cwd: Path | None = None) -> Reply:
    """Run a curl line as printed, its http://localhost:PORT taken for the service's address."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    words = shlex.split(line.replace("\\\n", " "))
    assert words[0] == "curl"
    words = [word.replace("http://localhost:8080", base) for word in words[1:]]
    done = subprocess.run(
        [program, "-s", "-i", "--max-time", "60", *words],
        cwd=cwd,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    status = 0
    headers: dict[str, str] = {}
    # 100 Continue comes before
    while status in (0, 100):
        head, _, text = text.partition("\r\n\r\n")
        first, *rest = head.split("\r\n")
        status = int(first.split(" ")[1])
        headers = {
            name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)
        }
    return Reply(status, headers, text)
