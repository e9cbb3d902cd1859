"""`pgsluice completion`: what a shell completes, generated from the parser itself."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..client import api
from ..settings import Settings
from .shells import BASH, FISH, ZSH

# Where a command or flag is -> the words that may stand there; @files, or names of the service.
Tree = dict[str, list[str]]

_NAMED = {"RESOURCE": "@resources", "JOB": "@jobs", "FILE": "@files", "DIR": "@files"}
# Each NAME is one of these.
_NAME_OF = {"resource describe": "@resources"} | {
    f"schedule {action}": "@schedules" for action in ("add", "remove", "pause", "resume", "run")
}
_LISTS = ("resources", "jobs", "schedules")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print what a shell needs to complete commands",
        epilog='bash and zsh: eval "$(pgsluice completion bash)"; fish: pgsluice completion fish '
        "| source. resources, jobs and schedules print the names that these scripts ask for",
    )
    parser.add_argument("what", choices=["bash", "zsh", "fish", *_LISTS])
    parser.set_defaults(command=run)


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Print the script of a shell, or the names that it asks for."""
    match given.what:
        case "bash":
            print(BASH.replace("@words@", _pairs(_tree(given.parser), "        [{}]={}")), end="")
        case "zsh":
            print(ZSH.replace("@words@", _pairs(_tree(given.parser), "        {} {}")), end="")
        case "fish":
            paths = " ".join(_quoted(path) for path in _paths(given.parser) if path)
            print(FISH.replace("@paths@", paths) + "\n".join(_fish(given.parser)))
        case _:
            print("\n".join(_names(settings, given.what)))
    return 0


def _names(settings: Settings, what: str) -> Iterator[str]:
    """What there is of a kind; the newest jobs."""
    found = api(settings).ask("GET", what)
    if what == "jobs":
        yield "last"
        yield from (job["job_id"] for job in found["jobs"])
    else:
        yield from (one["name"] for one in (found if what == "resources" else found[what]))


def _paths(parser: argparse.ArgumentParser, path: str = "") -> Iterator[str]:
    """Each command as it is typed: `jobs`, `jobs show`."""
    yield path
    for action in parser._actions:  # argparse shows its tree nowhere else
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from _paths(child, f"{path} {name}".strip())


def _tree(parser: argparse.ArgumentParser, path: str = "") -> Tree:
    """The words that may follow each command (`.` at first), and each flag that takes a value."""
    here = path or "."
    found: Tree = {here: []}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found[here] += action.choices
            for name, child in action.choices.items():
                found |= _tree(child, f"{path} {name}".strip())
        elif not action.option_strings:
            found[here] += _values(action, path)
        else:
            found[here] += [flag for flag in action.option_strings if flag.startswith("--")]
            if action.nargs != 0:
                # a lone @ is a value that nobody can guess
                values = _values(action, path) or ["@"]
                found |= {f"{here} {flag}": values for flag in action.option_strings}
    return found


def _values(action: argparse.Action, path: str) -> list[str]:
    if action.choices:
        return list(map(str, action.choices))
    if action.type is Path:
        return ["@files"]
    if "--resource" in action.option_strings:
        return ["@resources"]
    name = str(action.metavar)
    found = _NAME_OF.get(path) if name == "NAME" else _NAMED.get(name)
    return [found] if found else []


def _fish(parser: argparse.ArgumentParser, path: str = "") -> Iterator[str]:
    """A line for each word and flag, shown where it may stand."""
    where = f"complete -c pgsluice -n {_quoted(f'__pgsluice_at {path}'.strip())}"
    for action in parser._actions:
        told = f" -d {_quoted(action.help)}" if action.help else ""
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            for name, child in action.choices.items():
                yield f"{where} -a {name} -d {_quoted(helps.get(name, ''))}"
                yield from _fish(child, f"{path} {name}".strip())
        elif not action.option_strings:
            if values := _fish_values(_values(action, path)):
                yield f"{where} {values}"
        else:
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
                for flag in action.option_strings
            )
            value = (
                f" -r {_fish_values(_values(action, path)) or '-f'}" if action.nargs != 0 else ""
            )
            yield f"{where} {flags}{value}{told}"


def _fish_values(values: list[str]) -> str:
    if not values:
        return ""
    if values == ["@files"]:
        return "-F"
    words = [f"(pgsluice completion {v[1:]} 2>/dev/null)" if v[0] == "@" else v for v in values]
    return f"-f -a {_quoted(' '.join(words))}"


def _pairs(tree: Tree, form: str) -> str:
    return "\n".join(form.format(_quoted(at), _quoted(" ".join(w))) for at, w in tree.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
