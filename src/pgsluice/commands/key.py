"""`pgsluice key`: API keys, made where the database is, so that there can be a first one."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from .common import print_json, table, tell


def add(commands: Any, shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the command; the parser, for its `command` to be set."""
    shared = argparse.ArgumentParser(add_help=False, parents=[shared])
    shared.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser: argparse.ArgumentParser = commands.add_parser(
        "key", help="make, list, rotate and revoke API keys"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    action = actions.add_parser("create", parents=[shared], help="make a key and print it, once")
    action.add_argument("name", help="by which it is listed, rotated and revoked")
    action.add_argument(
        "--scopes", default="import,export", help="of import, export, admin (import,export)"
    )
    action.add_argument("--resources", help="those it may touch, with commas (all)")
    action.add_argument("--role", help="database role under which its rows are written and read")
    action.add_argument(
        "--login", help="login of SLUICE_LOGINS in whose own sessions that is done: a fence"
    )
    action.add_argument("--profile", choices=["realworld", "nest"], help="shape of its replies")
    action.add_argument("--rate-limit", type=int, help="requests a minute (SLUICE_RATE_LIMIT)")
    action.add_argument("--max-uploads", type=int, help="uploads at once (any number)")
    action.add_argument(
        "--max-bytes-per-day", type=int, help="bytes that its imports and exports may store (any)"
    )
    action.add_argument("--days", type=float, help="after so many days it expires (never)")
    actions.add_parser("list", parents=[shared], help="list the keys")
    action = actions.add_parser(
        "rotate", parents=[shared], help="give a key a new secret, print it"
    )
    action.add_argument("name")
    action.add_argument(
        "--overlap", default="24 hours", help="how long the old one goes on to work (24 hours)"
    )
    action = actions.add_parser("revoke", parents=[shared], help="end a key at once")
    action.add_argument("name")
    return parser


def run(dsn: str, given: argparse.Namespace) -> int:
    """Carry the command out; ProblemError says what is wrong."""
    from ..database import ask

    match given.action:
        case "create":
            made = ask(dsn, "create_api_key", **_asked(given))
            return tell(given, {"name": given.name, "key": made}, made)
        case "rotate":
            made = ask(dsn, "rotate_api_key", name=given.name, overlap=given.overlap)
            return tell(given, {"name": given.name, "key": made}, made)
        case "revoke":
            ask(dsn, "revoke_api_key", name=given.name)
            return tell(given, {"revoked": given.name}, f"revoked {given.name}")
        case _:
            keys = ask(dsn, "api_keys_json")
            return print_json(keys) if given.json else _show(keys)


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    expires = datetime.now(UTC) + timedelta(days=given.days) if given.days is not None else None
    return {
        "name": given.name,
        "scopes": given.scopes.split(","),
        "resources": given.resources.split(",") if given.resources else None,
        "role": given.role,
        "login": given.login,
        "profile": given.profile,
        "rate_limit": given.rate_limit,
        "expires_at": expires,
        "max_uploads": given.max_uploads,
        "max_bytes_per_day": given.max_bytes_per_day,
    }


def _show(keys: list[dict[str, Any]]) -> int:
    rows = [
        ("NAME", "KEY", "STATE", "SCOPES", "RESOURCES", "ROLE", "LAST USED"),
        *(
            (
                key["name"],
                f"{key['hint']}…",
                key["state"],
                ",".join(key["scopes"]),
                ",".join(key["resources"] or ["all"]),
                f"{key['login']} (login)" if key["login"] else key["role"] or "-",
                (key["last_used_at"] or "never")[:19],
            )
            for key in keys
        ),
    ]
    print(table(rows))
    return 0
