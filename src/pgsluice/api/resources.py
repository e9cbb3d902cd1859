"""What can be imported and exported: the registry as SQL describes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import msgspec
from litestar import Response, get, post

from ..database import Error, call, problem_of
from ..errors import ProblemError
from . import header_doc
from . import read_doc as doc
from .download import Download, download
from .json_body import json_object
from .query import parse_query
from .reply import form_of, json_reply, tagged_reply
from .service import AnyRequest, service_of

_SCHEMA = "application/schema+json"
_Header = Annotated[list[str], msgspec.Meta(max_length=1600)]
_Asked = TypeVar("_Asked")


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    header: _Header
    mapping: dict[str, str | None] | None = None


class _Unnamed(msgspec.Struct, forbid_unknown_fields=True):
    header: _Header


@get("/resources", opt=doc.RESOURCES)
async def list_resources(request: AnyRequest) -> Response[bytes]:
    """All registered resources."""
    parse_query(request.scope["query_string"], ())
    return tagged_reply(request, await service_of(request).ask("resources_json"))


@get("/resources/{name:str}", opt=doc.RESOURCE)
async def get_resource(request: AnyRequest, name: str) -> Response[bytes]:
    """One resource: fields, keys, rules with their messages; or its JSON Schema."""
    fields = parse_query(request.scope["query_string"], ("format",))
    form = form_of(request, fields, ("json", "schema"))
    vary = {"Vary": "Accept"}
    with _named_in_path():
        if form == "schema":
            schema = await service_of(request).ask("resource_schema", resource=name)
            return json_reply(schema, headers=vary, media_type=_SCHEMA)
        about = await service_of(request).ask("describe", resource=name)
    return tagged_reply(request, about, vary)


@get("/resources/{name:str}/template", opt=doc.TEMPLATE)
async def get_template(request: AnyRequest, name: str) -> Download:
    """A header and an example row to fill in."""
    fields = parse_query(request.scope["query_string"], ("format",))
    form = form_of(request, fields, ("csv", "ndjson", "json", "xlsx"))
    with _named_in_path():
        return await download(
            request,
            service_of(request).downloads,
            lambda conn: call(conn, "template_copy", resource=name, format=form),
            lambda about: f"{name}-template.{about['extension']}",
        )


@post("/resources/{name:str}/header", opt=header_doc.MATCH, status_code=200)
async def match_header(request: AnyRequest, name: str) -> Response[bytes]:
    """The names of a file's header with the fields that an import would take them for."""
    asked = await _asked(request, _Named)
    service = service_of(request)
    with _named_in_path():
        await service.ask("describe", resource=name)
    found = await service.ask(
        "header_match", resource=name, header=asked.header, mapping=asked.mapping
    )
    return json_reply(found)


@post("/header", opt=header_doc.GUESS, status_code=200)
async def guess_resource(request: AnyRequest) -> Response[bytes]:
    """The same for every resource, the likeliest first."""
    asked = await _asked(request, _Unnamed)
    return json_reply(await service_of(request).ask("header_guess", header=asked.header))


async def _asked(request: AnyRequest, kind: type[_Asked]) -> _Asked:
    parse_query(request.scope["query_string"], ())
    try:
        return msgspec.convert(await json_object(request), kind)
    except msgspec.ValidationError as exc:
        raise ProblemError(400, f"the body is not what it should be: {exc}") from None


@contextmanager
def _named_in_path() -> Iterator[None]:
    """What SQL refuses as a wrong resource is a page that does not exist."""
    try:
        yield
    except Error as exc:
        problem = problem_of(exc)
        raise ProblemError(404, problem.detail) if problem.status == 400 else exc from None
