"""The command line, from the parser itself."""

import argparse
import inspect
from collections.abc import Iterator

from pgsluice import cli
from pgsluice.commands.common import database_flags, remote_flags

from .markdown import bullets, fence, page, prose, sentence

# Told once, at the top.
_MANY = {"--url", "--key-file", "--json", "--data-dir"}
_ABOUT = """\
`--version` prints the release, `-h` behind any command its help. Behind a flag that takes several
values, `--` ends them. `eval "$(pgsluice completion bash)"` completes commands, flags, and ids of
jobs."""
_CLIENTS = """\
These commands are clients of a running service, found by `--url` or `SLUICE_URL`. At a terminal
they show progress, on a pipe only their result."""
_DATABASE = """\
These commands work on the database itself: that of `DATABASE_URL`, else the embedded one."""


def commands_page() -> str:
    """docs/reference/command-line.md."""
    # as for completion, which wants all of it too
    parser = cli._parser(["completion"])
    about = inspect.cleandoc(cli.__doc__ or "").split("Exit codes:")
    parts = [
        sentence(prose(parser.description or "")) + " " + _ABOUT.replace("\n", " "),
        "## Exit codes",
        bullets([sentence(word) for word in _codes(about[1])]),
        "## Flags of clients",
        _CLIENTS.replace("\n", " "),
        bullets([_flag(one) for one in _arguments(remote_flags())]),
        "## Flags of commands on the database",
        _DATABASE.replace("\n", " "),
        bullets([_flag(one) for one in _arguments(database_flags())]),
    ]
    for name, (command, told) in _below(parser).items():
        parts += _command(f"pgsluice {name}", command, told, "##")
    return page("Command line", *parts)


def _codes(text: str) -> list[str]:
    numbers: list[str] = []
    for word in " ".join(text.split()).rstrip(".").replace("; ", ", ").split(", "):
        if word[0].isdigit():
            number, _, told = word.partition(" ")
            numbers.append(f"`{number}`: {told}")
        else:
            numbers[-1] += f", {word}"
    return numbers


def _below(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {one.dest: one.help or "" for one in action._choices_actions}
            return {name: (one, told.get(name, "")) for name, one in action.choices.items()}
    return {}


def _command(name: str, parser: argparse.ArgumentParser, told: str, level: str) -> Iterator[str]:
    below = _below(parser)
    yield f"{level} {name}"
    yield sentence(prose(told))
    own = [] if below else _own(parser)
    if not below:
        words = [_shown(one) for one in own if not one.option_strings]
        flags = " [flags]" if any(one.option_strings for one in own) else ""
        yield fence(" ".join([name + flags, *words]), "text")
    yield bullets([*map(_flag, own), *_shared(parser)])
    yield from _epilog(parser.epilog or "")
    for word, (command, about) in below.items():
        yield from _command(f"{name} {word}", command, about, f"{level}#")


def _epilog(text: str) -> Iterator[str]:
    if text.startswith("example: "):
        yield "For example:"
        yield fence(text.removeprefix("example: "), "sh")
    else:
        yield sentence(prose(text))


def _own(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of a command that are not those of many."""
    return [one for one in _arguments(parser) if not _MANY & set(one.option_strings)]


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    passed_over = argparse._HelpAction | argparse._SubParsersAction
    return [one for one in parser._actions if not isinstance(one, passed_over)]


def _shared(parser: argparse.ArgumentParser) -> Iterator[str]:
    flags = {word for one in parser._actions for word in one.option_strings}
    if "--url" in flags:
        yield "[flags of clients](#flags-of-clients)"
    elif "--data-dir" in flags:
        json = ", `--json`" if "--json" in flags else ""
        yield f"[`--data-dir`](#flags-of-commands-on-the-database){json}"


def _shown(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    if action.choices and not action.metavar:
        name = "{" + ",".join(map(str, action.choices)) + "}"
    return f"{name}…" if action.nargs in ("+", "*") else name


def _flag(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_shown(action)}"
    names = (
        [*action.option_strings[:-1], action.option_strings[-1] + value]
        if (action.option_strings)
        else [_shown(action)]
    )
    told = prose((action.help or "").replace("%(default)s", str(action.default)))
    return ", ".join(f"`{name}`" for name in names) + (f": {told}" if told else "")
