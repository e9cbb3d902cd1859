"""The rules of the house, as tests: they hold without anyone remembering them."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from pgsluice.migrate import read_install
from pgsluice.settings import describe

TOP = Path(__file__).resolve().parents[1]
SRC = TOP / "src" / "pgsluice"
OURS = ("sluice", "app")
# Reasons stand in the comments of these functions.
SECURITY_DEFINER: set[str] = set()
# A procedure that commits may have no SET clause; every name in it is qualified, operators too.
UNPINNED = {"sluice.import_run"}


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for file in sorted(SRC.rglob("*.py")):
        parts = file.relative_to(SRC.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imports(name: str, tree: ast.Module, known: set[str]) -> set[str]:
    """What a module imports: absolute dotted names, down to modules of ours where there is one."""
    is_package = (SRC.parent / Path(*name.split(".")) / "__init__.py").exists()
    package = name.split(".") if is_package else name.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                found.add(deeper if deeper in known else base)
    return found


def graph() -> dict[str, set[str]]:
    trees = modules()
    return {name: imports(name, tree, set(trees)) - {name} for name, tree in trees.items()}


def test_imports_have_one_direction() -> None:
    every = graph()
    known = set(every) - {"pgsluice"}  # the package itself has only its version
    ours = {name: found & known for name, found in every.items()}
    while leaves := {name for name, found in ours.items() if not found}:
        ours = {name: found - leaves for name, found in ours.items() if name not in leaves}
    assert ours == {}, "these import each other in a circle"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("psycopg", r"pgsluice\.(copy|database|migrate|tasks|bench\.peers\..+)"),
        ("psycopg_pool", r"pgsluice\.database"),
        ("procrastinate", r"pgsluice\.(migrate|tasks)"),
        ("litestar", r"pgsluice\.(app|api\..+)"),
        ("pyarrow", r"pgsluice\.(parquet\.(batches|read|write|texts|values)|bench\.peers\..+)"),
    ],
)
def test_a_library_is_imported_only_where_it_belongs(library: str, allowed: str) -> None:
    users = {
        name for name, found in graph().items() if any(i.split(".")[0] == library for i in found)
    }
    assert [name for name in sorted(users) if not re.fullmatch(allowed, name)] == []


def test_a_command_starts_without_what_it_may_not_need() -> None:
    """Each takes longer to import than all else that a client does."""
    slow = {"asyncio", "httpx", "litestar", "obstore", "psycopg", "rich", "uvicorn"}
    script = f"import sys, pgsluice.cli as c; c._parser(['jobs']); print({slow} & {{*sys.modules}})"
    environ = {**os.environ, "PYTHONPATH": str(SRC.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout == "set()\n"


def test_modules_are_short() -> None:
    lengths = {file.name: len(file.read_text().splitlines()) for file in SRC.rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > 350} == {}


def sql_files() -> Iterator[Path]:
    yield from sorted((TOP / "sql").rglob("*.sql"))
    yield from sorted((TOP / "db" / "migrations").glob("*.sql"))


def test_every_sql_file_stands_once_in_install_sql() -> None:
    listed = [f for step in read_install(TOP / "db" / "install.sql") for f in step.files]
    assert len(listed) == len(set(listed))
    assert set(listed) - {TOP / "db" / "ledger.sql"} == set(sql_files())


def test_sql_files_have_no_psql_commands() -> None:
    """`pgsluice migrate` sends them as they are."""
    for file in sql_files():
        assert not re.search(r"^\\\w", file.read_text(), re.MULTILINE), file


FUNCTIONS = """
select n.nspname || '.' || p.proname as name, l.lanname, p.prosecdef, p.proconfig,
    obj_description(p.oid, 'pg_proc') as comment,
    exists (
        select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where a.grantee = 0
    ) as is_public
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where n.nspname = any(%s)
order by 1
"""


@pytest.fixture
def functions(conn: psycopg.Connection) -> list[Any]:
    """Every function of ours as the catalog has it."""
    return conn.cursor(row_factory=namedtuple_row).execute(FUNCTIONS, [list(OURS)]).fetchall()


def test_every_function_has_a_comment(functions: list[Any]) -> None:
    assert functions
    assert [f.name for f in functions if not f.comment] == []


def test_plpgsql_functions_pin_their_search_path(functions: list[Any]) -> None:
    loose = {
        f.name
        for f in functions
        if f.lanname == "plpgsql"
        and not any(setting.startswith("search_path=") for setting in f.proconfig or [])
    }
    assert loose - UNPINNED == set()


def test_a_pinned_path_names_pg_temp_last(functions: list[Any]) -> None:
    """Else a temporary table or type is found before ours."""
    for function in functions:
        for setting in function.proconfig or []:
            if setting.startswith("search_path="):
                assert setting.endswith("pg_temp"), function.name


def test_public_can_call_nothing(functions: list[Any]) -> None:
    assert [f.name for f in functions if f.is_public] == []


def test_functions_run_with_the_rights_of_their_caller(functions: list[Any]) -> None:
    assert {f.name for f in functions if f.prosecdef} == SECURITY_DEFINER


def test_every_table_and_view_has_a_comment(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        """
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace::regnamespace::text = any(%s) and c.relkind in ('r', 'p', 'v', 'm')
            and obj_description(c.oid, 'pg_class') is null
        order by 1
        """,
        [list(OURS)],
    ).fetchall()
    assert rows == []


def test_public_can_read_no_table_and_enter_no_schema(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        """
        select c.oid::regclass::text from pg_class as c, aclexplode(c.relacl) as a
        where c.relnamespace::regnamespace::text = any(%(ours)s) and a.grantee = 0
        union all
        select n.nspname from pg_namespace as n, aclexplode(n.nspacl) as a
        where n.nspname = any(%(ours)s) and a.grantee = 0
        """,
        {"ours": [*OURS, "sluice_stage"]},
    ).fetchall()
    assert rows == []


def test_every_function_in_the_database_comes_from_a_file(conn: psycopg.Connection) -> None:
    """A renamed one leaves its old self in upgraded databases, unless a migration drops it."""
    texts = " ".join(file.read_text() for file in sql_files())
    created = set(re.findall(r"create (?:or replace )?(?:function|procedure) ([\w.]+)", texts))
    rows = conn.execute(
        """
        select distinct p.pronamespace::regnamespace::text || '.' || p.proname from pg_proc as p
        where p.pronamespace::regnamespace::text = any(%s)
        """,
        [list(OURS)],
    ).fetchall()
    dropped = set(re.findall(r"drop (?:function|procedure) (?:if exists )?([\w.]+)", texts))
    assert {name for (name,) in rows} ^ created <= dropped


def test_the_readme_names_every_setting() -> None:
    readme = (TOP / "README.md").read_text()
    assert [name for name, _, _ in describe() if f"`{name}`" not in readme] == []
