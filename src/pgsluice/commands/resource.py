"""`pgsluice resource`: what there is, asked of the service; registered where the tables are."""

import argparse
from typing import Any

from ..client import segment
from ..settings import Settings
from .common import (
    UsageError,
    database_flags,
    print_json,
    remote_flags,
    service,
    table,
    tell,
)

_COLUMNS = {
    "created-field": "column that says when a row was made",
    "updated-field": "column that says when a row was last changed",
    "parent": "resource whose records may carry a list of these rows",
    "parent-field": "column that refers to the parent's primary key",
    "position-field": "column that is set from the place in the list",
    "search-path": "for the table's own code: triggers, defaults, functions",
}


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser; the parser of what works on the database, for its command."""
    remote = remote_flags()
    parser = commands.add_parser("resource", help="list, describe and register resources")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", parents=[remote], help="all of them").set_defaults(command=list_all)
    action = actions.add_parser("describe", parents=[remote], help="fields, keys and rules of one")
    action.add_argument("name", metavar="NAME")
    action.set_defaults(command=describe)
    local = argparse.ArgumentParser(add_help=False, parents=[database_flags()])
    local.add_argument("--json", action="store_true", help="print JSON and nothing else")
    local.add_argument("name", metavar="NAME", help="of the resource")
    told = "make a table of yours a resource, in the database of DATABASE_URL; again: change it"
    register: argparse.ArgumentParser = actions.add_parser("register", parents=[local], help=told)
    register.add_argument("table", metavar="SCHEMA.TABLE")
    told = "a name in files that means a column; as often as needed"
    register.add_argument("--alias", action="append", default=[], metavar="NAME=COLUMN", help=told)
    for name, told in _COLUMNS.items():
        register.add_argument(f"--{name}", metavar="…", help=told)
    told = "judge CHECKs before the write although triggers may change the row"
    register.add_argument("--prejudge", action="store_true", help=told)
    told = "its owner's triggers and functions may run with the rights of the service"
    register.add_argument("--trust-owner", action="store_true", help=told)
    return register


def list_all(settings: Settings, given: argparse.Namespace) -> int:
    """Print every resource in a line."""
    found = service(settings, given).ask("GET", "resources")
    if given.json:
        return print_json(found)
    rows = [
        (one["name"], one["table"], len(one["fields"]), len(one["rules"]), one["description"] or "")
        for one in found
    ]
    print(table([("NAME", "TABLE", "FIELDS", "RULES", "WHAT"), *rows], right=(2, 3), whole=1))
    return 0


def describe(settings: Settings, given: argparse.Namespace) -> int:
    """Print the fields, keys, references and rules of a resource."""
    found = service(settings, given).ask("GET", f"resources/{segment(given.name)}")
    if given.json:
        return print_json(found)
    print(f"{found['name']}: table {found['table']}, key {', '.join(found['key'] or ['-'])}")
    if found["description"]:
        print(found["description"])
    print()
    print(table([("FIELD", "TYPE", "REQUIRED", "DEFAULT"), *map(_field, found["fields"])]))
    for title, lines in (
        ("unique", [", ".join(key.get("fields") or [key["name"]]) for key in found["keys"]]),
        ("refers to", [f"{', '.join(r['fields'])}: {r['table']}" for r in found["references"]]),
        ("rules", [f"{', '.join(map(str, r['fields']))}: {r['message']}" for r in found["rules"]]),
        ("lists", sorted(_names(found["children"]))),
    ):
        if lines:
            print(f"\n{title}")
            print("\n".join(f"  {line}" for line in lines))
    return 0


def _field(field: dict[str, Any]) -> tuple[str, ...]:
    aliases = f" (or {', '.join(field['aliases'])})" if field.get("aliases") else ""
    default = field.get("default") or field.get("identity") or ""
    return field["name"] + aliases, field["type"], "yes" if field["required"] else "", default


def _names(children: Any) -> list[str]:
    return [child["name"] if isinstance(child, dict) else str(child) for child in children or []]


def register(dsn: str, given: argparse.Namespace) -> int:
    """Register a table; ProblemError says why it cannot be."""
    from ..database import ask

    options = {name.replace("-", "_"): getattr(given, name.replace("-", "_")) for name in _COLUMNS}
    made = ask(
        dsn,
        "register",
        resource=given.name,
        target=given.table,
        aliases=_aliases(given.alias),
        prejudge=given.prejudge,
        trust_owner=given.trust_owner,
        **{name: value for name, value in options.items() if value is not None},
    )
    told = f"{made['name']} is registered: {len(made['fields'])} fields, {len(made['rules'])} rules"
    return tell(given, made, told)


def _aliases(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, column = text.rpartition("=")
        if not (equals and name and column):
            raise UsageError(f"an alias is NAME=COLUMN, not {text!r}")
        found[name] = column
    return found
