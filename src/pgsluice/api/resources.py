"""What can be imported and exported: the registry as SQL describes it."""

from collections.abc import Iterator
from contextlib import contextmanager

from litestar import Response, get

from ..database import Error, call, problem_of
from ..errors import ProblemError
from . import read_doc as doc
from .download import Download, download
from .query import parse_query
from .reply import form_of, json_reply, tagged_reply
from .service import AnyRequest, service_of

_SCHEMA = "application/schema+json"


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
    form = form_of(request, fields, ("csv", "ndjson", "json"))
    with _named_in_path():
        return await download(
            service_of(request).downloads,
            lambda conn: call(conn, "template_copy", resource=name, format=form),
            request.headers.get("accept-encoding", ""),
            lambda about: f"{name}-template.{about['extension']}",
        )


@contextmanager
def _named_in_path() -> Iterator[None]:
    """What SQL refuses as a wrong resource is a page that does not exist."""
    try:
        yield
    except Error as exc:
        problem = problem_of(exc)
        raise ProblemError(404, problem.detail) if problem.status == 400 else exc from None
