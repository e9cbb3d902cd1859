"""`pgsluice completion`: what a shell completes, generated from the parser itself."""

import argparse
from typing import Any

_BASH = """\
# pgsluice completion for bash: eval "$(pgsluice completion bash)"
_pgsluice() {
    local word path="" known
    local -A words=(
@words@
    )
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        known="${path:+$path }$word"
        [[ -n ${words[$known]+x} ]] && path=$known
    done
    local values="${words["${path} ${COMP_WORDS[COMP_CWORD-1]}"]}"
    [[ -n $values ]] || values="${words[${path:-.}]}"
    COMPREPLY=($(compgen -W "$values" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _pgsluice pgsluice
"""
_ZSH = """\
#compdef pgsluice
# pgsluice completion for zsh: eval "$(pgsluice completion zsh)"
_pgsluice() {
    local word path="" known
    local -A found
    found=(
@words@
    )
    for word in "${(@)words[2,CURRENT-1]}"; do
        known="${path:+$path }$word"
        (( ${+found[$known]} )) && path=$known
    done
    local values="${found[$path ${words[CURRENT-1]}]}"
    compadd -- ${=${values:-${found[${path:-.}]}}}
    [[ -z $values && $words[CURRENT] != -* ]] && _files
}
compdef _pgsluice pgsluice
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("completion", help="print what a shell needs to complete commands")
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])
    parser.set_defaults(command=lambda _settings, given: run(given))


def run(given: argparse.Namespace) -> int:
    """Print the script of a shell."""
    tree = _tree(given.parser)
    match given.shell:
        case "fish":
            print("\n".join(_fish(given.parser)))
        case "bash":
            lines = (f"        [{_quoted(path or '.')}]={_quoted(' '.join(w))}" for path, w in tree)
            print(_BASH.replace("@words@", "\n".join(lines)), end="")
        case _:
            pairs = (f"        {_quoted(path or '.')} {_quoted(' '.join(w))}" for path, w in tree)
            print(_ZSH.replace("@words@", "\n".join(pairs)), end="")
    return 0


def _tree(parser: argparse.ArgumentParser, path: str = "") -> list[tuple[str, list[str]]]:
    """Each command with the words that may follow it; `command --flag` with its values."""
    words: list[str] = []
    below: list[tuple[str, list[str]]] = []
    for action in parser._actions:  # argparse shows its tree nowhere else
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
            for name, child in action.choices.items():
                below += _tree(child, f"{path} {name}".strip())
            continue
        words += [flag for flag in action.option_strings if flag.startswith("--")]
        if action.choices and not action.option_strings:
            words += action.choices
        elif action.choices:
            below += [(f"{path} {flag}", list(action.choices)) for flag in action.option_strings]
    return [(path, words), *below]


def _fish(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> list[str]:
    """A line for each word and flag, shown once all words before it stand there."""
    seen = [f"__fish_seen_subcommand_from {word}" for word in path]
    lines = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {told.dest: told.help or "" for told in action._choices_actions}
            others = f"not __fish_seen_subcommand_from {' '.join(action.choices)}"
            for name, child in action.choices.items():
                where = "; and ".join([*seen, others])
                lines.append(_fish_line(where, f"-f -a {name}", helps.get(name, "")))
                lines += _fish(child, (*path, name))
        elif action.option_strings:
            where = "; and ".join(seen) if seen else "__fish_use_subcommand"
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
                for flag in action.option_strings
            )
            if action.choices:
                flags += f" -x -a {_quoted(' '.join(action.choices))}"
            elif action.nargs != 0:
                flags += " -r"
            lines.append(_fish_line(where, flags, action.help or ""))
    return lines


def _fish_line(where: str, words: str, told: str) -> str:
    return f"complete -c pgsluice -n {_quoted(where)} {words} -d {_quoted(told)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
