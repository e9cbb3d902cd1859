"""The fenced blocks of a page, and the one script of bash that carries a page out.

A block is run by its language. A comment right above it can say more:

    <!-- not run: why it cannot be -->
    <!-- in another terminal, until it says: listening on -->
    <!-- POST /v1/exports -->                                     (json: what is posted there)

`'…'` in SQL is the id of the newest import that has ended.

A page is read from top to bottom by one shell, as a reader would, in a directory that holds what
a clone of the repository holds.
"""

import json
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^( *)(```+)(\w*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
NOTE = re.compile(r"<!-- ((?:(?!-->).)*) -->\s*\Z", re.DOTALL)
MARKER = "--- a step has ended:"
HERE = "SNIPPET"
# How a function is called, with the types of its parameters.
FORM = re.compile(r"(call )?sluice\.\w+\(")
# What '…' stands for in SQL.
NEWEST = """select job_id as newest from sluice.jobs where state = 'completed'
order by created_at desc limit 1 \\gset
"""


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the comment above it says."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def reason(self) -> str:
        """Why it is not run; empty where it is."""
        if is_made(self.page) and (self.language == "text" or FORM.match(self.text)):
            return "a form, not a command; a test says that it is as the source has it"
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else ""

    @property
    def serves(self) -> bool:
        """Whether it starts the service of its page."""
        return self.beside and "pgsluice serve" in self.text

    @property
    def beside(self) -> bool:
        """Whether it goes on while the page does."""
        return self.note.startswith("in another terminal")

    @property
    def place(self) -> str:
        """Where it stands, as editors take it."""
        return f"{self.page.relative_to(TOP)}:{self.line}"


@dataclass(frozen=True)
class Step:
    """A piece of the script and what it must print; None: anything, but it must end well."""

    place: str
    script: str
    told: str | None


def pages() -> list[Path]:
    """The README and every page of the documentation."""
    return [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]


@cache
def is_made(page: Path) -> bool:
    """Whether a page is made from the source (tests/reference)."""
    return page.read_text(encoding="utf-8").startswith("<!-- Made from the source")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        note = NOTE.search(text[: match.start()])
        body = re.sub(f"^{match[1]}", "", match[4], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[3], body, " ".join(note[1].split()) if note else ""))
    return found


def steps(block: Block) -> list[Step]:
    """What a block has a reader do; of JSON that is only shown nothing, but it must be JSON."""
    if block.beside:
        return [Step(block.place, _beside(block), None)]
    if block.language == "console":
        return [Step(block.place, *command) for command in commands(block.text)]
    make = _SCRIPTS.get(block.language)
    made = make(block) if make else ""
    return [Step(block.place, made, None)] if made else []


def commands(text: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a session: `$ ` begins a command, `> ` goes on with it."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
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


def script(found: list[Step]) -> str:
    """All steps for one bash; behind each a line with the marker and whether a command failed."""
    head = (
        "others=()\n"
        "trap 'for one in \"${others[@]}\"; do kill $one; wait $one; done' EXIT\n"
        "exec 2>&1\n"
    )
    return head + "".join(
        f"failed=0; trap failed=1 ERR\n{step.script}\ntrap - ERR; echo '{MARKER}' $failed\n"
        for step in found
    )


def _shell(block: Block) -> str:
    return block.text


def _sql(block: Block) -> str:
    text = block.text.replace("'…'", ":'newest'")
    if text != block.text:
        text = NEWEST + text
    return f"psql -X -q -v ON_ERROR_STOP=1 <<'{HERE}'\n{text}{HERE}\n"


def _python(block: Block) -> str:
    return f"python3 - <<'{HERE}'\n{block.text}{HERE}\n"


def _json(block: Block) -> str:
    json.loads(block.text)
    if not block.note:
        return ""
    method, path = block.note.split()
    given = f"-sS --fail-with-body -X {method} -H 'Content-Type: application/json' -d @-"
    return f"curl {given} localhost:8080{path} <<'{HERE}'\n{block.text}{HERE}\n"


def _beside(block: Block) -> str:
    """Start it, and wait until it has said what the comment says."""
    log = f"terminal-{block.line}.log"
    sign = block.note.partition("until it says: ")[2]
    assert sign, f"{block.place}: what does it say when it is ready?"
    return (
        f"exec env {block.text.strip()} > {log} 2>&1 &\n"
        f'others=($! "${{others[@]}}")\n'
        f"until grep -q {shlex.quote(sign)} {log}; do kill -0 $! || {{ cat {log}; break; }}; "
        "sleep 0.1; done\n"
    )


_SCRIPTS = {"sh": _shell, "bash": _shell, "sql": _sql, "python": _python, "json": _json}
LANGUAGES = {"console", *_SCRIPTS}
