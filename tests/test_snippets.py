"""Every command and every snippet of README and docs is carried out, and its output compared."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from pgsluice.aliases import KNOWN
from pgsluice.settings import Settings, env_name

from .conftest import TOP, Databases, address, serve, stop
from .snippets import (
    LANGUAGES,
    MARKER,
    Block,
    Step,
    blocks,
    expected,
    is_made,
    pages,
    script,
    steps,
)

# A reader puts the own database for this, and may have these ports free; a test takes others.
DATABASE = "postgresql://sluice@db.example.org/app"
PORTS = ("8080", "8000", "9000")
# Says that there is no database yet: the service brings one.
BARE = "<!-- this page begins without a database -->"
CLONE = ("db", "sql", "docs", ".env.example", "docker-compose.yml")


def run_of(page: Path) -> list[Block]:
    """The blocks of a page that are carried out."""
    return [one for one in blocks(page) if not one.reason]


# What the examples of the reference are about.
IMPORT = r"""
printf 'email,name,role\nann@example.com,Ann,reader\nbob,Bob,reader\n' > users.csv
psql -X -q -v ON_ERROR_STOP=1 <<'EOF'
select * from sluice.import_begin(
    'users', 'csv', '{email,name,role}', '{"results": "true"}', 'users.csv'
) \gset
\o copy.psql
\qecho :copy_command
\o
\i copy.psql
call sluice.import_run(:'job_id');
EOF
"""


def todo(page: Path) -> list[Step]:
    """What is done, from top to bottom."""
    found = [step for block in run_of(page) for step in steps(block)]
    return [Step("before it", IMPORT, None), *found] if found and is_made(page) else found


RUN = [page for page in pages() if todo(page)]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module", autouse=True)
def nothing_stays(databases: Databases) -> Iterator[None]:
    """Databases and roles that a page made on the server are gone after it."""
    asked = "select datname from pg_database", "select rolname from pg_roles"
    before = [set(databases.conn.execute(query.encode()).fetchall()) for query in asked]
    yield
    after = [set(databases.conn.execute(query.encode()).fetchall()) for query in asked]
    for (name,) in after[0] - before[0]:
        databases.drop(name)
    for (name,) in after[1] - before[1]:
        databases.conn.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def folder(open_tmp: Path, tmp_path: Path) -> Iterator[Path]:
    """Where a page is carried out: a directory that looks like a clone with its environment."""
    path = open_tmp / tmp_path.name
    (path / ".venv" / "bin").mkdir(parents=True)
    for name in CLONE:
        (path / name).symlink_to(TOP / name)
    yield path
    shutil.rmtree(path)


def programs(folder: Path, bindir: Path) -> str:
    """PATH with this tree's `pgsluice` and the programs of the Postgres under test."""
    ours = folder / ".venv" / "bin"
    for name, words in (("pgsluice", " -m pgsluice"), ("python3", "")):
        (ours / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (ours / name).chmod(0o755)
    return os.pathsep.join([str(ours), str(bindir), os.environ["PATH"]])


def url(dsn: str) -> str:
    """The address of a database in the form that people write."""
    at = conninfo_to_dict(dsn)
    who = f"{at['user']}:{quote(str(at['password']), safe='')}"
    return f"postgresql://{who}@{at['host']}:{at['port']}/{at['dbname']}"


def told(dsn: str) -> dict[str, str]:
    """How libpq's programs find the server and the database."""
    found = conninfo_to_dict(dsn)
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    known = {f"PG{name}": str(found[key]) for key, name in names.items()}
    return {**known, "PGDATABASE": str(found["dbname"]), "DATABASE_URL": url(dsn)}


@pytest.fixture
def clone(databases: Databases, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes a database with pgsluice installed, for pages that start the service themselves."""
    name = tmp_path.name.replace("-", "_")
    yield lambda: databases.create(name, databases.template)
    databases.drop(name)


@dataclass
class Place:
    """Where a page finds the service and the database, whatever it calls them."""

    environ: dict[str, str]
    ports: dict[str, str]
    dsn: str

    def here(self, text: str) -> str:
        """A text of the page with the addresses of this run."""
        for told, port in self.ports.items():
            text = re.sub(rf"(?<=[: ]){told}(?![\d,])", port, text)
        return text.replace(DATABASE, self.dsn)


@pytest.fixture
def place(
    request: pytest.FixtureRequest, folder: Path, pg_bindir: Path, clone: Callable[[], str]
) -> Iterator[Place]:
    """A service for the page, unless it starts one itself: then a free port, and a database."""
    page = request.getfixturevalue("page")
    ports = {port: str(free_port()) for port in PORTS}
    dsn = "" if BARE in page.read_text(encoding="utf-8") else clone()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLUICE_", "PG")) and name not in KNOWN
    }
    known = {
        "PATH": programs(folder, pg_bindir),
        "PYTHONPATH": str(TOP / "src"),
        "LC_ALL": "C.UTF-8",
    }
    if dsn:
        known |= told(dsn)
    with ExitStack() as after:
        if not is_made(page) and not any(block.serves for block in run_of(page)):
            process = serve(cwd=folder, DATABASE_URL=dsn)
            after.callback(stop, process)
            ports["8080"] = address(process).rpartition(":")[2]
        known |= {"SLUICE_PORT": ports["8080"], "SLUICE_URL": f"http://127.0.0.1:{ports['8080']}"}
        yield Place({**kept, **known}, ports, url(dsn) if dsn else "")


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(TOP)))
def test_a_page_does_what_it_says(page: Path, folder: Path, place: Place) -> None:
    found = todo(page)
    done = subprocess.run(
        ["bash", "-c", place.here(script(found))], cwd=folder, env=place.environ, timeout=400,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    printed = done.stdout.split(MARKER)
    for number, step in enumerate(found):
        got = printed[number].partition("\n")[2] if number else printed[0]
        at = f"{step.place}\n{step.script}"
        assert number + 1 < len(printed), f"{at}\nended the shell:\n{got}"
        if step.told is None:
            assert printed[number + 1].startswith(" 0"), f"{at}\n{got}"
        else:
            assert expected(place.here(step.told)).match(got), f"{at}\n{got}"


def test_every_block_is_run_or_says_why_it_is_not() -> None:
    every = [block for page in pages() for block in blocks(page)]
    skipped = [block for block in every if block.reason]
    rest = [block for block in every if not block.reason]
    silent = [block.place for block in rest if block.language not in LANGUAGES]
    assert silent == [], "these are neither run nor say why not"
    number = sum(len(steps(block)) for block in rest)
    print(f"\n{len(rest)} snippets of {len(RUN)} pages are run, in {number} steps")
    print(f"{len(skipped)} are not run:")
    print("\n".join(f"  {block.place}: {block.reason}" for block in skipped))


def test_the_settings_that_pages_name_exist() -> None:
    known = {env_name(field) for field in Settings.__struct_fields__}
    for page in pages():
        named = set(re.findall(r"\bSLUICE_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8")))
        assert named - known == set(), page
