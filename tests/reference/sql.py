"""The SQL interface, from the catalog of a database in which pgsluice is installed."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from .markdown import anchor, bullets, fence, page, prose, sentence

# What people call by name, in the order of their work; all others are the service's.
GROUPS = {
    "Resources": "register unregister describe resource_schema add_rule drop_rule "
    "header_match header_guess",
    "Imports": "import_begin import_run import_submit import_from explain_import "
    "import_errors error_summary errors_sql rejects_sql results_sql",
    "Exports": "export_sql export_submit export_create",
    "Jobs": "job_json jobs_json job_progress cancel_job retry_job delete_job",
    "Schedules": "schedule unschedule pause_schedule resume_schedule run_schedule schedule_json "
    "cron_next cron_ticks",
    "API keys": "create_api_key update_api_key rotate_api_key revoke_api_key",
    "Webhooks": "webhook_secret redeliver deliveries_json",
    "Operation": "doctor health overview release sweep expire grant_roles",
}
_ABOUT = """\
All that the service does can be done from psql, with no service running: `psql -X -d mydb -f
db/install.sql` installs it. Functions have plain parameter names, to be given as `name => value`;
they refuse with SQLSTATE `IOnnn`, where nnn is the [HTTP status](errors.md#refused-requests) of
the same refusal, and a hint that says what to do. `\\df+ sluice.*` shows the same in psql. Tables
of schema `sluice` are not an interface; the views are."""
_FUNCTIONS = """
select
    p.proname as name, p.prokind = 'p' as is_procedure, p.proretset as is_set,
    pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as comment,
    array(
        select quote_ident(a.name) || ' ' || format_type(a.type, null)
            || coalesce(' default ' || pg_get_function_arg_default(p.oid, a.n::int), '')
        from unnest(p.proargnames, p.proargtypes::oid[]) with ordinality as a (name, type, n)
        where a.type is not null
        order by a.n
    ) as parameters
from pg_proc as p
where p.pronamespace = 'sluice'::regnamespace
    and not exists (select from unnest(p.proargnames) as a (name) where a.name like 'p\\_%')
order by p.proname
"""
_VIEWS = """
select
    c.relname as name, obj_description(c.oid, 'pg_class') as comment,
    array(
        select quote_ident(a.attname) || ' ' || format_type(a.atttypid, null)
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0
        order by a.attnum
    ) as columns
from pg_class as c
where c.relnamespace = 'sluice'::regnamespace and c.relkind = 'v'
order by c.relname
"""


def sql_page(conn: psycopg.Connection) -> str:
    """docs/reference/sql.md."""
    cursor = conn.cursor(row_factory=namedtuple_row)
    functions = {one.name: one for one in cursor.execute(_FUNCTIONS)}
    parts = [_ABOUT.replace("\n", " "), "## Views"]
    for view in cursor.execute(_VIEWS).fetchall():
        columns = ", ".join(f"`{_tidy(column)}`" for column in view.columns)
        parts += [f"### sluice.{view.name}", *comment(view.comment), f"Columns: {columns}."]
    for heading, names in GROUPS.items():
        parts += [f"## {heading}", _contents(names.split())]
        for name in names.split():
            parts += _function(functions.pop(name))
    parts += ["## What the service calls", _OTHERS.replace("\n", " ")]
    parts.append(bullets([_line(one) for one in functions.values()]))
    return page("SQL", *parts)


_OTHERS = """\
API and workers call these, and whoever builds another service on the same database may. A release
may change them; each has its manual in `\\df+`."""


def _contents(names: list[str]) -> str:
    return ", ".join(f"[{name}](#{anchor(f'sluice.{name}')})" for name in names)


def _function(one: Any) -> Iterator[str]:
    yield f"### sluice.{one.name}"
    parameters = [_tidy(text) for text in one.parameters]
    call = f"{'call ' if one.is_procedure else ''}sluice.{one.name}"
    result = "" if one.is_procedure else f" returns {_tidy(one.result)}"
    line = f"{call}({', '.join(parameters)}){result}"
    if len(line) > 90:
        inner = ",\n".join(f"    {text}" for text in parameters)
        line = f"{call}(\n{inner}\n){result}"
    yield fence(line, "sql")
    yield from comment(one.comment, [text.split()[0].strip('"') for text in parameters])


def _line(one: Any) -> str:
    names = ", ".join(text.split()[0] for text in one.parameters)
    return f"`{one.name}({names})`: {sentence(prose(_first(one.comment)))}"


def _first(text: str) -> str:
    """What a comment says first, without the beginning of what it lists then."""
    first = re.split(r"(?<=[\w)])[.:](?=\s|$)", text, maxsplit=1)[0]
    head, _, tail = first.rpartition("; ")
    if head and len(tail.split()) < 3:
        first = head
    return first if first.count("(") == first.count(")") else first.rpartition(" (")[0]


def _tidy(text: str) -> str:
    text = text.replace("timestamp with time zone", "timestamptz")
    text = re.sub(r"::[a-z ]+(\[\])?", "", text).replace("NULL", "null").lower()
    return text.replace("(", "(\n    ", 1).replace(", ", ",\n    ") if len(text) > 90 else text


def comment(text: str, names: list[str] | None = None) -> Iterator[str]:
    """A comment of the catalog: prose, parameters as a list, statements as code."""
    blocks: list[tuple[bool, list[str]]] = []
    for line in text.splitlines():
        is_code = line.startswith("   ") or bool(re.fullmatch(r"\s*(select|call)\b.*;", line))
        if not blocks or blocks[-1][0] != is_code:
            blocks.append((is_code, []))
        blocks[-1][1].append(line)
    for is_code, lines in blocks:
        if is_code:
            yield fence("\n".join(line.strip() for line in lines), "sql")
        else:
            yield from _paragraphs(" ".join(" ".join(lines).split()), names or [])


def _paragraphs(text: str, names: list[str]) -> Iterator[str]:
    """What it does, its parameters one by one, what it returns, what it refuses."""
    name = "|".join(map(re.escape, names)) or "(?!)"
    parts = re.split(
        rf"(?<=[.;]) (?=(?:(?:{name})(?:, (?:{name}))*: |Returns |From |Errors: |IO\d{{3}}\b))",
        text,
    )
    listed: list[str] = []
    refused: list[str] = []
    for part in parts:
        given = re.match(rf"((?:{name})(?:, (?:{name}))*): (.*)", part)
        if given:
            codes = ", ".join(f"`{one}`" for one in given[1].split(", "))
            listed.append(f"{codes}: {prose(given[2])}")
        elif part.startswith(("IO", "Errors: ")):
            refused.append(prose(part.removeprefix("Errors: ")))
        else:
            if listed:
                yield bullets(listed)
                listed = []
            yield prose(part)
    if listed:
        yield bullets(listed)
    if refused:
        yield f"**Refused:** {' '.join(refused)}"
