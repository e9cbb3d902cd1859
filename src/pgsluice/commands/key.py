"""`pgsluice key`: API keys, made where the database is, so that there can be a first one."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .common import print_json, table, tell

_NONE = "none"
_LIMITS: tuple[tuple[str, Callable[[str], float], str], ...] = (
    ("rate-limit", int, "requests a minute (SLUICE_RATE_LIMIT)"),
    ("max-uploads", int, "uploads at once (any number)"),
    ("max-bytes-per-day", int, "bytes that its imports and exports may store (any)"),
    ("days", float, "after so many days it expires (never)"),
)


def add(commands: Any, shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the command; the parser, for its `command` to be set."""
    shared = argparse.ArgumentParser(add_help=False, parents=[shared])
    shared.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser: argparse.ArgumentParser = commands.add_parser(
        "key", help="make, list, change, rotate and revoke API keys"
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
    for limit, kind, what in _LIMITS:
        action.add_argument(f"--{limit}", type=kind, dest=_place(limit), metavar="N", help=what)
    action = actions.add_parser(
        "update", parents=[shared], help="change limits of a key, from its next request on"
    )
    action.add_argument("name")
    for limit, kind, what in _LIMITS:
        action.add_argument(
            f"--{limit}", type=_or_none(kind), dest=_place(limit), metavar="N|none", help=what
        )
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


def _place(limit: str) -> str:
    """Where the parser keeps a limit: under its own name some would be settings of the service."""
    return "key_" + limit.replace("-", "_")


def _or_none(kind: Callable[[str], float]) -> Callable[[str], float | str]:
    """Reads a number, or the word that takes a limit away."""

    def number(text: str) -> float | str:
        return text if text == _NONE else kind(text)

    return number


def run(dsn: str, given: argparse.Namespace) -> int:
    """Carry the command out; ProblemError says what is wrong."""
    from ..database import ask

    match given.action:
        case "create":
            made = ask(dsn, "create_api_key", **_asked(given))
            return tell(given, {"name": given.name, "key": made}, made)
        case "update":
            key = ask(dsn, "update_api_key", name=given.name, changes=_changes(given))
            return print_json(key) if given.json else _show([key])
        case "rotate":
            made = ask(dsn, "rotate_api_key", name=given.name, overlap=given.overlap)
            return tell(given, {"name": given.name, "key": made}, made)
        case "revoke":
            ask(dsn, "revoke_api_key", name=given.name)
            return tell(given, {"revoked": given.name}, f"revoked {given.name}")
        case _:
            keys = ask(dsn, "api_keys_json")
            return print_json(keys) if given.json else _show(keys)


def _changes(given: argparse.Namespace) -> dict[str, Any]:
    """The limits that are given, for SQL: what is none there is null."""
    return {
        name: None if value == _NONE else value
        for name, value in _limits(given).items()
        if value is not None
    }


def _limits(given: argparse.Namespace) -> dict[str, Any]:
    rate, uploads, size, days = (getattr(given, _place(limit)) for limit, _, _ in _LIMITS)
    return {
        "rate_limit": rate,
        "max_uploads": uploads,
        "max_bytes_per_day": size,
        "expires_at": _in_days(days),
    }


def _in_days(days: float | str | None) -> str | None:
    if isinstance(days, float):
        return (datetime.now(UTC) + timedelta(days=days)).isoformat()
    return days


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "name": given.name,
        "scopes": given.scopes.split(","),
        "resources": given.resources.split(",") if given.resources else None,
        "role": given.role,
        "login": given.login,
        "profile": given.profile,
        **_limits(given),
    }


def _show(keys: list[dict[str, Any]]) -> int:
    rows = [
        ("NAME", "KEY", "STATE", "SCOPES", "RESOURCES", "ROLE", "LIMITS", "LAST USED"),
        *(
            (
                key["name"],
                f"{key['hint']}…",
                key["state"],
                ",".join(key["scopes"]),
                ",".join(key["resources"] or ["all"]),
                f"{key['login']} (login)" if key["login"] else key["role"] or "-",
                _limits_of(key),
                (key["last_used_at"] or "never")[:19],
            )
            for key in keys
        ),
    ]
    print(table(rows))
    return 0


def _limits_of(key: dict[str, Any]) -> str:
    told = {
        "requests a minute": key["rate_limit"],
        "uploads": key["max_uploads"],
        "bytes a day": key["max_bytes_per_day"],
    }
    limits = [f"{value} {what}" for what, value in told.items() if value is not None]
    if key["expires_at"]:
        limits.append(f"until {key['expires_at'][:10]}")
    return ", ".join(limits) or "-"
