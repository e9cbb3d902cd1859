"""`pgsluice completion`, in the shells themselves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Command, environment
from .terminal import Terminal

# What is typed, and what the last word of it may become.
CASES = {
    "pgsluice imp": {"import"},
    "pgsluice jobs f": {"follow"},
    "pgsluice jobs show --k": {"--key-file"},
    "pgsluice import users --dry": {"--dry-run", "--dry-run-write"},
    "pgsluice export users --format n": {"ndjson"},
    "pgsluice export user": {"users"},
    "pgsluice resource describe a": {"addresses", "articles"},
    "pgsluice jobs show l": {"last"},
    "pgsluice import users se": {"several.csv"},
    "pgsluice import users --file-name se": set(),
}
needs_fish = pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")


@pytest.fixture
def environ(command: Command, tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that finds `pgsluice`, and the service."""
    program = tmp_path / "bin" / "pgsluice"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pgsluice "$@"\n')
    program.chmod(0o755)
    (tmp_path / "several.csv").touch()
    given = environment(**command.environ, HOME=str(tmp_path))
    return {**given, "PATH": f"{program.parent}:{given['PATH']}"}


def _run(shell: list[str], script: str, folder: Path, environ: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [*shell, script], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split("==\n")[1:]


def test_bash_completes(environ: dict[str, str], tmp_path: Path) -> None:
    script = ['eval "$(pgsluice completion bash)"; complete -p pgsluice >/dev/null']
    for typed in CASES:
        words = typed.split()
        script.append(f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _pgsluice")
        script.append('echo ==; printf "%s\\n" "${COMPREPLY[@]}"')
    found = _run(["bash", "--norc", "-c"], "\n".join(script), tmp_path, environ)
    assert {typed: set(told.split()) for typed, told in zip(CASES, found, strict=True)} == CASES


@needs_fish
def test_fish_completes(environ: dict[str, str], tmp_path: Path) -> None:
    script = ["pgsluice completion fish | source"]
    script += [f"echo ==; complete -C '{typed}'" for typed in CASES]
    found = _run(["fish", "--no-config", "-c"], "\n".join(script), tmp_path, environ)
    words = [{line.split("\t")[0] for line in told.splitlines()} for told in found]
    assert dict(zip(CASES, words, strict=True)) == CASES


@needs_zsh
def test_zsh_completes(environ: dict[str, str], tmp_path: Path) -> None:
    """A line that can be completed in one way only; a key shows it, and clears it."""
    (tmp_path / "rc").write_text(
        "autoload -U compinit && compinit -u -D\n"
        'eval "$(pgsluice completion zsh)"\n'
        'show() { print -r -- "<${BUFFER% }>"; BUFFER= }; zle -N show; bindkey ^X show\n'
        "print rea''dy\n"
    )
    with Terminal(["zsh", "-f", "-i"], tmp_path, environ, 200) as terminal:
        terminal.type("source ./rc\r")
        terminal.until("ready")
        for typed, words in CASES.items():
            if len(words) != 1:
                continue
            whole = " ".join([*typed.split()[:-1], *words])
            terminal.type(f"{typed}\t\x18")
            terminal.until(re.escape(f"<{whole}>"))
