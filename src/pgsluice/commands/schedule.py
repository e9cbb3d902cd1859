"""`pgsluice schedule`: what runs by the clock, as a client of the service."""

import argparse
from typing import Any

import msgspec

from ..client import ClientError, segment
from ..settings import Settings
from .common import moment, print_json, remote_flags, service, table, tell

_COLUMNS = ("name", "kind", "cron", "time_zone", "next", "last", "state")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("schedule", help="imports and exports that begin by the clock")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    shared = remote_flags()
    named = argparse.ArgumentParser(add_help=False, parents=[shared])
    named.add_argument("name", metavar="NAME")

    action = actions.add_parser("list", parents=[shared], help="all schedules")
    action.set_defaults(command=list_all)
    action = actions.add_parser("add", parents=[named], help="make a schedule")
    action.add_argument("cron", metavar="CRON", help='"30 4 * * mon-fri", @daily or "20 seconds"')
    action.add_argument("kind", metavar="KIND", help="import or export")
    told = """what would be posted: '{"resource": "users", "url": "https://…"}'"""
    action.add_argument("request", metavar="REQUEST", help=told)
    action.add_argument("--time-zone", metavar="ZONE", help="such as Europe/Berlin (default UTC)")
    told = "ticks for which no worker ran: one job for all of them (default), or none"
    action.add_argument("--missed", metavar="once|skip", help=told)
    action.add_argument("--paused", action="store_true", help="do not fire it before resume")
    action.add_argument("--replace", action="store_true", help="change one that is there already")
    action.set_defaults(command=add)
    for name, command, told in (
        ("remove", remove, "remove a schedule; its jobs stay"),
        ("pause", pause, "fire none of its ticks until resume"),
        ("resume", resume, "end its pause"),
        ("run", run, "make its job now, beside its ticks"),
    ):
        actions.add_parser(name, parents=[named], help=told).set_defaults(command=command)


def list_all(settings: Settings, given: argparse.Namespace) -> int:
    """Print every schedule with its last and next run."""
    found = service(settings, given).ask("GET", "schedules")
    if given.json:
        return print_json(found)
    rows = [_row(schedule) for schedule in found["schedules"]]
    if not rows:
        print("there are no schedules")
        return 0
    print(table([_COLUMNS, *rows]))
    for schedule in found["schedules"]:
        if schedule["last_error"]:
            print(f"{schedule['name']}: {schedule['last_error']}")
    return 0


def add(settings: Settings, given: argparse.Namespace) -> int:
    """Make a schedule, or with --replace change one."""
    try:
        request = msgspec.json.decode(given.request)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise ClientError(f"the request is no JSON: {exc}") from exc
    wanted = {
        "name": given.name,
        "cron": given.cron,
        "kind": given.kind,
        "request": request,
        "time_zone": given.time_zone,
        "missed": given.missed,
        "paused": given.paused,
    }
    if given.replace:
        made = service(settings, given).ask("PUT", _path(given), wanted)
    else:
        made = service(settings, given).ask("POST", "schedules", wanted)
    return tell(given, made, f"{given.name}: next run {moment(made['next_at'])}")


def remove(settings: Settings, given: argparse.Namespace) -> int:
    """Remove a schedule."""
    service(settings, given).ask("DELETE", _path(given))
    return tell(given, {"removed": given.name}, f"{given.name} is removed")


def pause(settings: Settings, given: argparse.Namespace) -> int:
    """Fire none of its ticks until resume."""
    return tell(
        given,
        service(settings, given).ask("POST", _path(given, "pause")),
        f"{given.name} is paused",
    )


def resume(settings: Settings, given: argparse.Namespace) -> int:
    """End the pause of a schedule."""
    made = service(settings, given).ask("POST", _path(given, "resume"))
    return tell(given, made, f"{given.name}: next run {moment(made['next_at'])}")


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Make the job of a schedule now."""
    job = service(settings, given).ask("POST", _path(given, "run"))
    return tell(given, job, f"{job['kind']} {job['job_id']} is {job['status']}")


def _path(given: argparse.Namespace, *more: str) -> str:
    return "/".join(("schedules", segment(given.name), *more))


def _row(schedule: dict[str, Any]) -> tuple[str, ...]:
    state = "paused" if schedule["paused"] else schedule["last_job_status"] or "-"
    return (
        *(schedule[name] for name in ("name", "kind", "cron", "time_zone")),
        moment(schedule["next_at"]),
        moment(schedule["last_at"]),
        state,
    )
