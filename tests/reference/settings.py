"""The settings, from the one table that the service reads them by."""

import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pgsluice.aliases import ALIASES
from pgsluice.settings import Settings, describe, env_name

from .markdown import bullets, page, prose, sentence

# By what people look for; a setting that none of them names stands under the last heading.
GROUPS = {
    "Database": "database_url listen_url export_database_url export_patience pg_bin data_dir "
    "pool_size",
    "Address": "host port public_url api_prefix api_profile",
    "Who may do what": "anonymous api_keys logins rate_limit",
    "Work": "worker import_sessions sessions_per_import batch_rows max_jobs exports fetches",
    "Bounds of requests": "max_upload_bytes max_uploads max_record_bytes upload_idle download_idle",
    "How long things are kept": "stage idempotency_ttl job_ttl stage_ttl export_ttl",
    "Files": "store downloads import_dir url_hosts fetch_seconds",
    "Webhooks": "webhook_secret webhook_backoff",
    "Commands": "url api_key",
    "Metrics and log": "metrics metrics_key log_format",
    "More": "",
}
_ABOUT = """\
Settings come from flags, from the environment, or from a file `.env` in the directory where the
service starts; flags win over the environment, which wins over the file. A value that cannot be
used ends the start with a sentence that names it. An empty value is none: the default counts.
[.env.example](../../.env.example) lists all of them."""


def settings_page() -> str:
    """docs/reference/settings.md."""
    told = {name: (default, meaning) for name, default, meaning in describe()}
    hints = get_type_hints(Settings, include_extras=True)
    left = list(Settings.__struct_fields__)
    parts = [_ABOUT.replace("\n", " ")]
    for heading, fields in GROUPS.items():
        chosen = fields.split() if fields else list(left)
        if chosen:
            parts.append(f"## {heading}")
        for field in chosen:
            left.remove(field)
            name = env_name(field)
            parts += [f"### {name}", sentence(prose(told[name][1])), bullets(_facts(
                field, told[name][0], hints[field]
            ))]  # fmt: skip
    return page("Settings", *parts)


def _facts(field: str, default: str, hint: Any) -> list[str]:
    facts = [f"Default: `{default}`" if default else "Default: none", *_takes(hint)]
    if field in ALIASES:
        names = ", ".join(f"`{name}`" for name in ALIASES[field])
        facts.append(f"Also read from: {names} ([earlier systems](../earlier-systems.md#settings))")
    return facts


def _takes(hint: Any) -> list[str]:
    kind, meta = get_args(hint)[0], hint.__metadata__[0]
    if get_origin(kind) is Literal:
        words = [f"`{word}`" for word in get_args(kind) if word]
        return [f"One of: {', '.join(words)}"]
    if kind is bool:
        return ["One of: `true`, `false`"]
    if kind is int:
        least = f"from {meta.ge:,}" if meta.ge is not None else ""
        most = f" to {meta.le:,}" if meta.le is not None else ""
        return [f"A whole number {least}{most}".rstrip()]
    return ["A number of more than 0"] if kind is float else []


def rows_of_readme() -> str:
    """The rows of the table of settings in README.md."""
    return "".join(
        f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |\n"
        for name, default, meaning in describe()
    )


def readme(text: str) -> str:
    """README.md with the rows as they should be."""
    row = r"(?:\| `(?:SLUICE_|DATABASE_URL|PG_BIN)[^\n]*\n)+"
    return re.sub(row, lambda _: rows_of_readme(), text)


def env_example(text: str) -> str:
    """.env.example below its first paragraph as it should be."""
    head = text.split("\n\n")[0]
    told = [f"# {meaning}\n#{name}={default}" for name, default, meaning in describe()]
    return "\n\n".join([head, *told]) + "\n"
