"""The OpenAPI document: what stands beside each handler, put together from the real routes."""

import re
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from ..examples import EXAMPLE_ID
from ..models import Schema
from ..schemas import SCHEMAS
from .openapi import HEADERS, TAGS, common_refusals, reply_headers

_INFO: Schema = {
    "title": "pgsluice",
    "summary": "Bulk import and export for Postgres tables",
    "description": "A file in, a verdict for every record, a merge, a file out.\n\n"
    "**Every request** may carry `X-Request-Id` (1 to 128 visible ASCII characters; another one is "
    "made for what is not), which every reply has; its log lines too. Errors are RFC 9457 "
    "problems whose `detail` says what to do. HEAD works wherever GET does, OPTIONS everywhere. "
    "A document of 1 KB or more is compressed (zstd, gzip) if `Accept-Encoding` allows it. Names "
    "of parameters and fields are understood in camelCase too, and an unknown one is refused.\n\n"
    "**Any path** can also answer 405 (with `Allow`), 408 (a head or body that comes too slowly), "
    "414 and 431 (a head that is too long), and 500 (the log has the cause under the request id).\n"
    "\n**Keys.** `X-API-Key: k`, `Authorization: Bearer k` or `Token k`. While no key exists, "
    "whoever is on the same machine needs none.\n\n"
    "**Earlier systems.** `Accept-Profile: realworld` or `nest` shows jobs as that service did "
    "(docs/earlier-systems.md).",
    "license": {"name": "MIT", "identifier": "MIT"},
}


def build(app: Litestar, version: str, base: str = "/") -> Schema:
    """The whole document, from the routes that the application really has."""
    paths: dict[str, Schema] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and "doc" in handler.opt:
                path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
                for method in sorted(handler.http_methods - {"OPTIONS"}):
                    paths.setdefault(path, {})[method.lower()] = _operation(handler, path, method)
    return {
        "openapi": "3.1.0",
        "info": {**_INFO, "version": version},
        "servers": [{"url": base, "description": "this service"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": SCHEMAS,
            "headers": HEADERS,
            "responses": common_refusals(),
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "a key, as `pgsluice key create` or POST keys shows it once",
                },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the same key; `Token` is understood in place of `Bearer`",
                },
            },
        },
        "security": [{"key": []}, {"bearer": []}],
    }


def methods_of(document: Schema) -> dict[str, set[str]]:
    """The methods that each path of the document takes."""
    return {path: {name.upper() for name in item} for path, item in document["paths"].items()}


def _operation(handler: HTTPRouteHandler, path: str, method: str) -> Schema:
    doc = handler.opt["doc"]
    name = handler.handler_name
    if method == "HEAD":
        name = f"head_{name}"
    elif len(handler.paths) > 1:
        name = f"{name}_{path.strip('/')}"
    responses = doc["responses"]
    if handler.resolve_guards():
        told = reply_headers("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
        # what every request to the API may meet, beside what its own handler says
        guards = {code: _common(code) for code in ("401", "403", "429", "503")}
        if any(one["name"] == "Accept-Profile" for one in doc["parameters"]):
            guards["406"] = _common("406")
        responses = guards | {
            code: {**reply, "headers": told | reply.get("headers", {})}
            if "$ref" not in reply
            else reply
            for code, reply in responses.items()
        }
    if method == "HEAD":
        responses = {
            code: {name: value for name, value in reply.items() if name != "content"}
            for code, reply in responses.items()
        }
    security: Schema = {} if handler.resolve_guards() else {"security": []}
    made = {"operationId": name, **security, **doc, "responses": dict(sorted(responses.items()))}
    placed: Schema = _placed(made, path.replace("{job_id}", EXAMPLE_ID))
    return placed


def _common(code: str) -> Schema:
    return {"$ref": f"#/components/responses/{code}"}


def _placed(doc: Any, path: str) -> Any:
    """The same, with every example of a problem at the path that it is an example for."""
    if isinstance(doc, list):
        return [_placed(item, path) for item in doc]
    if not isinstance(doc, dict):
        return doc
    if "instance" in doc and "title" in doc and "detail" in doc and "properties" not in doc:
        return {**doc, "instance": path.replace("{name}", "nightly")}
    return {name: _placed(value, path) for name, value in doc.items()}
