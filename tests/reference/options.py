"""The options of an import, from the parameters of POST imports in the OpenAPI document."""

from typing import Any

from pgsluice.api.options import PARSING

from .markdown import bullets, page, prose, sentence
from .schemas import default_of, kind_of

GROUPS = {
    "What and how": "resource mode match on_duplicate identity",
    "Which field is meant": "mapping unknown_fields defaults",
    "How the file is read": "format file_name delimiter null encoding trim sheet date_order "
    "decimal",
    "How far it goes": "dry_run atomic max_errors max_error_ratio",
    "The job": "priority parent results callback_url",
    "More": "",
}
_ABOUT = """\
As query parameters, as form fields before or after the file, in a JSON object that says where the
file stands, as flags of `pgsluice import`, or as JSON in `sluice.import_begin(…, options =>
'{…}')`. Names are understood in camelCase too. An unknown option is refused, with the name that
may be meant."""


def options_page(parameters: list[dict[str, Any]], names: set[str]) -> str:
    """docs/reference/options.md: of these parameters, those that are options."""
    told = {one["name"]: one for one in parameters if one["name"] in names}
    early = ", ".join(f"`{name}`" for name in PARSING)
    parts = [
        _ABOUT.replace("\n", " "),
        f"In a form, those that say how the file is read must stand before it: {early}.",
    ]
    left = list(told)
    for heading, chosen in GROUPS.items():
        fields = chosen.split() if chosen else list(left)
        if fields:
            parts.append(f"## {heading}")
        for name in fields:
            left.remove(name)
            parts += [f"### {name}", sentence(prose(told[name]["description"])), _facts(told[name])]
    return page("Options of an import", *parts)


def _facts(one: dict[str, Any]) -> str:
    schema = one["schema"]
    kind = kind_of(schema)
    facts = [] if kind == "text" else [f"Takes: {kind}"]
    if "default" in schema:
        facts.append(f"Default: {default_of(schema)}")
    if "example" in one:
        facts.append(f"For example: `{one['example']}`")
    return bullets(facts)
