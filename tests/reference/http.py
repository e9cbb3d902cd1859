"""The HTTP API, from the OpenAPI document that the service itself gives: a page for each tag."""

from collections.abc import Iterator
from typing import Any

from .markdown import anchor, bullets, fence, member, page, prose, sentence, shown
from .schemas import default_of, kind_of

Schema = dict[str, Any]
OBJECTS = "objects.md"
_METHODS = ("post", "get", "put", "patch", "delete")
# Said once, on the first page.
_COMMON_PARAMETERS = {"X-Request-Id"}
_COMMON_HEADERS = {"X-Request-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}


_EARLIER = "[more](../../earlier-systems.md)"
_ABOUT = """\
The service shows the same at `/docs`, and as an OpenAPI 3.1 document at `/openapi.json`.
`SLUICE_API_PREFIX` moves `/v1`. [Objects](objects.md) says what the JSON of requests and replies
is made of."""


def http_pages(document: Schema, options: set[str]) -> dict[str, str]:
    """docs/reference/http/*.md; `options` are those of an import, which have their own page."""
    pages = {"index.md": _index(document)}
    for tag in document["tags"]:
        parts = [sentence(prose(tag["description"])), _contents(document, tag["name"])]
        shown_at: dict[str, str] = {}
        for path, method, operation in _operations(document, tag["name"]):
            parts += _operation(path, method, operation, options)
            parts += _example_of(f"{method} {path}", operation["responses"], shown_at)
        pages[_file(tag["name"])] = page(f"HTTP: {tag['name']}", *parts)
    return pages


def _file(tag: str) -> str:
    return f"{tag.replace(' ', '-')}.md"


def _operations(document: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    for path, item in document["paths"].items():
        for method in sorted(item.keys() - {"head"}, key=_METHODS.index):
            if tag in item[method]["tags"]:
                yield path, method.upper(), item[method]


def _index(document: Schema) -> str:
    parts = [
        document["info"]["description"].replace("docs/earlier-systems.md", _EARLIER),
        _ABOUT.replace("\n", " "),
        "## What there is",
    ]
    for tag in document["tags"]:
        file = _file(tag["name"])
        parts += [
            f"### [{tag['name'].capitalize()}]({file})",
            sentence(prose(tag["description"])),
            _contents(document, tag["name"], file),
        ]
    parts += ["## What every request may meet", _replies_of_all(document), "## Headers of replies"]
    headers = document["components"]["headers"]
    parts.append(
        bullets([f"`{name}`: {prose(one['description'])}" for name, one in headers.items()])
    )
    return page("HTTP API", *parts)


def _contents(document: Schema, tag: str, file: str = "") -> str:
    return bullets(
        [
            f"[`{method} {path}`]({file}#{anchor(f'{method} {path}')}): {prose(one['summary'])}"
            for path, method, one in _operations(document, tag)
        ]
    )


def _replies_of_all(document: Schema) -> str:
    lines = []
    for code, reply in document["components"]["responses"].items():
        detail = reply["content"]["application/problem+json"]["example"]["detail"]
        lines.append(f"**{code}**: {prose(reply['description'])}. For example: “{prose(detail)}”")
    return bullets(lines)


def _operation(path: str, method: str, operation: Schema, options: set[str]) -> Iterator[str]:
    yield f"## {method} {path}"
    yield sentence(prose(operation["summary"]))
    yield sentence(prose(operation.get("description", "")))
    yield from _parameters(path, operation["parameters"], options)
    yield from _body(operation.get("requestBody"), options)
    yield "**Replies**"
    yield bullets(list(_replies(operation["responses"])))


def _example_of(route: str, responses: Schema, shown_at: dict[str, str]) -> Iterator[str]:
    """The first example of a reply, or where the page has shown the same one."""
    for reply in responses.values():
        media = reply.get("content", {}).get("application/json", {})
        # rows of any resource are an example of nothing
        if "example" in media and media["schema"].get("type") != "array":
            text = shown(media["example"])
            if text in shown_at:
                yield f"The reply looks as that of [{shown_at[text]}](#{anchor(shown_at[text])})."
            else:
                shown_at[text] = route
                yield "For example:"
                yield text
            return


def _parameters(path: str, parameters: list[Schema], options: set[str]) -> Iterator[str]:
    told = [one for one in parameters if one["name"] not in _COMMON_PARAMETERS]
    is_import = path.endswith("/imports") and options <= {one["name"] for one in told}
    if is_import:
        told = [one for one in told if one["name"] not in options]
        yield "The [options of an import](../options.md) stand in the query or in the form."
    if told:
        yield "**Parameters**"
        yield bullets([parameter(one) for one in told])


def parameter(one: Schema) -> str:
    """A parameter in one line."""
    schema = one["schema"]
    kind = "" if "pattern" in schema and one["in"] == "header" else kind_of(schema, OBJECTS)
    facts = [kind, {"header": "a header", "path": "in the path"}.get(one["in"], "")]
    if "default" in schema:
        facts.append(f"default {default_of(schema)}")
    if "example" in one:
        facts.append(f"such as `{one['example']}`")
    return member(one["name"], "; ".join(fact for fact in facts if fact), prose(one["description"]))


def _body(body: Schema | None, options: set[str]) -> Iterator[str]:
    if not body:
        return
    yield "**Body**"
    for kind, media in body["content"].items():
        schema = media["schema"]
        names = set(schema.get("properties", ()))
        if options <= names:
            more = ", ".join(f"`{name}`" for name in sorted(names - options))
            yield f"`{kind}`: {more} and the [options](../options.md) as fields"
        elif names:
            yield f"`{kind}`:"
            yield _members(schema)
        else:
            yield f"`{kind}`: {kind_of(schema, OBJECTS)}"
        examples = [one["value"] for one in media.get("examples", {}).values()]
        for example in examples or ([media["example"]] if "example" in media else []):
            yield _example(example, is_form="form" in kind)


def _example(example: Any, *, is_form: bool) -> str:
    if is_form:
        lines = (f"{name}={'…' if chr(10) in text else text}" for name, text in example.items())
        return fence("\n".join(lines), "text")
    return fence(example, "text") if isinstance(example, str) else shown(example)


def _members(schema: Schema) -> str:
    lines = []
    for name, inner in schema["properties"].items():
        absent = "" if name in schema.get("required", ()) else ", may be absent"
        told = prose(inner.get("description", ""))
        lines.append(member(name, kind_of(inner, OBJECTS) + absent, told))
    return bullets(lines)


def _replies(responses: Schema) -> Iterator[str]:
    common = [code for code, reply in responses.items() if "$ref" in reply]
    for code, reply in responses.items():
        if code in common:
            continue
        line = f"**{code}**: {prose(reply['description'])}"
        content = reply.get("content", {})
        if problem := content.get("application/problem+json", {}).get("example"):
            line += f": “{prose(problem['detail'])}”"
        kinds = [
            kind_of(media["schema"], OBJECTS) if kind == "application/json" else f"`{kind}`"
            for kind, media in content.items()
            if kind != "application/problem+json"
        ]
        if kinds:
            line += f". Body: {' or '.join(kinds)}"
        headers = [f"`{name}`" for name in reply.get("headers", {}) if name not in _COMMON_HEADERS]
        if headers:
            line += f". Headers: {', '.join(headers)}"
        yield line
    if common:
        yield f"[as everywhere](index.md#what-every-request-may-meet): {', '.join(common)}"
