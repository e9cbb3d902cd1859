"""Markdown that reads the same on a forge and on the site."""

import json
import re
from typing import Any

MADE = "<!-- Made from the source by `just reference`: what is changed here is lost. -->"
# Names, paths, JSON, words of a shell: sluice.jobs, job_id, atomic=true, /v1/jobs, {"a": 1}
_NAMES = re.compile(
    r"`[^`]*`"
    r"|(?<!\w)'[^']*[{\[*][^']*'"
    r"|\"[^\"]*[*][^\"]*\""
    r"|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"
    r"|https?://[^\s<>()]+[^\s<>().,;:]"
    r"|(?<![\w/])/(?:[\w.-]+|\{\w+\})(?:/(?:[\w-]+|\{\w+\}))*"
    r"|\b\w+=\w+(?:,\w+)*"
    r"|(?<!\w)-?\b[A-Za-z][\w-]*(?:[._/][\w*]+)+(?:\(\)|=\w+)?"
    r"|\bIO\d{3}\b"
)
_SPECIAL = re.compile(r"([\\*<>\[\]_|])")


def page(title: str, *parts: str) -> str:
    """A whole page: its heading, then the parts that are not empty."""
    return "\n\n".join(part for part in (MADE, f"# {title}", *parts) if part) + "\n"


def prose(text: str) -> str:
    """A text of the source as one paragraph: names as code, nothing else of it is markup."""
    found, at = [], 0
    text = " ".join(text.split())
    for match in _NAMES.finditer(text):
        found += [_SPECIAL.sub(r"\\\1", text[at : match.start()]), _named(match[0])]
        at = match.end()
    return "".join([*found, _SPECIAL.sub(r"\\\1", text[at:])])


def _named(word: str) -> str:
    if word.startswith("`"):
        return word
    return f"<{word}>" if word.startswith("http") else f"`{word}`"


def fence(text: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def shown(value: Any) -> str:
    """An example as JSON in a block of code."""
    return fence(json.dumps(value, indent=2, ensure_ascii=False), "json")


def bullets(items: list[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def member(name: str, kind: str, told: str) -> str:
    """A name with its type and what is said of it, as far as there is something."""
    return f"`{name}` ({kind}): {told}" if kind and told else f"`{name}`: {kind or told}"


def sentence(text: str) -> str:
    """With a full stop at its end, and a capital if it begins with a word that is no value."""
    text = text.strip()
    values = re.match(r"\w+(, \w+)* or \w+:", text)
    if re.match(r"[a-z]+[ ,:;]", text) and not values:
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?", "…")) or not text else f"{text}."


def anchor(heading: str) -> str:
    """The anchor that a forge gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
