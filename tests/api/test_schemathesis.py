"""schemathesis plays the OpenAPI document against the service: all checks, all phases."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# Enough to touch every operation, parameter and link; a long run has -n 200 and another seed.
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "2")
SEED = os.environ.get("SCHEMATHESIS_SEED", "20260101")


@pytest.fixture(scope="module")
def keyed(start_service: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service that wants a key, has a store and an import folder, and asks nobody outside."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "users_data.json").write_text('[{"id": 1, "email": "a@example.org", "name": "Ann"}]')
    return start_service(
        SLUICE_API_KEYS="of-the-operator",
        SLUICE_STORE=str(tmp_path_factory.mktemp("files")),
        SLUICE_IMPORT_DIR=str(folder),
        SLUICE_URL_HOSTS="127.0.0.1:9",
    )


def test_schemathesis_finds_nothing(keyed: Any, tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("st"), "--no-color"]
    command += ["--config-file", HERE / "schemathesis.toml"]
    command += ["run", f"{keyed.url}/openapi.json", "-n", EXAMPLES, "--seed", SEED]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py")},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    cases = re.search(r"(\d+) generated", done.stdout)
    assert tested
    assert cases
    print(f"{tested[1]} operations, {cases[1]} cases, 0 failures")
    assert int(tested[1]) >= 50
    assert int(cases[1]) > 1000
