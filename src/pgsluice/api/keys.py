"""API keys over HTTP, for those whose key has the scope admin."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post

from ..errors import ProblemError
from ..models import Schema
from . import openapi as doc
from .json_body import json_object
from .reply import json_reply
from .service import AnyRequest, service_of

_NO_STORE = {"Cache-Control": "no-store"}
_NAME = doc.parameter("name", "name of the key", where="path")
_KEY: Schema = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}$"},
        "scopes": {
            "type": "array",
            "items": {"enum": ["import", "export", "admin"]},
            "minItems": 1,
            "default": ["import", "export"],
        },
        "resources": {"type": ["array", "null"], "items": {"type": "string"}},
        "role": {"type": ["string", "null"], "description": "database role its work runs under"},
        "login": {
            "type": ["string", "null"],
            "description": "login in whose own sessions its work is done",
        },
        "profile": {"enum": ["realworld", "nest", None]},
        "rate_limit": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 2147483647,
            "description": "requests a minute",
        },
        "expires_at": {"type": ["string", "null"], "format": "date-time"},
        "max_uploads": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 2147483647,
            "description": "uploads at once",
        },
        "max_bytes_per_day": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 10**15,
            "description": "bytes that its imports, unpacked, and files of exports may store in a "
            "day (UTC)",
        },
    },
}
_EXAMPLE = {"name": "loader", "scopes": ["import"], "resources": ["users"]}
_MADE = doc.content(
    {
        "type": "object",
        "required": ["name", "key"],
        "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
        "additionalProperties": False,
    },
    {"name": "loader", "key": "slk_8LGM3n3xkVJ8KQ7vW0bTzY5c1oHqRdNfEiPjXuSsAg4"},
)
_LINKS = doc.linked("then", "rotate_key", "revoke_key", name="$response.body#/name")
_LIST = doc.content(
    {
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}}},
        "additionalProperties": False,
    }
)


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked of a new key; SQL judges the values."""

    name: str
    scopes: list[str] = msgspec.field(default_factory=lambda: ["import", "export"])
    resources: list[str] | None = None
    role: str | None = None
    login: str | None = None
    profile: str | None = None
    rate_limit: Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)] | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    max_uploads: Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)] | None = None
    max_bytes_per_day: Annotated[int, msgspec.Meta(ge=1, le=10**15)] | None = None


@get(
    "/keys",
    opt=doc.operation("List API keys", "keys", _LIST, refusals=(), headers=("Cache-Control",)),
)
async def list_keys(request: AnyRequest) -> Response[bytes]:
    """All keys, without their secrets."""
    return json_reply({"keys": await service_of(request).ask("api_keys_json")}, headers=_NO_STORE)


@post(
    "/keys",
    status_code=201,
    opt=doc.operation(
        "Make an API key; the reply is the only one that shows it",
        "keys",
        _MADE,
        refusals=(413,),
        headers=("Cache-Control",),
        status=201,
        why="it is made",
        links=_LINKS,
        responses={
            "400": doc.refused(
                400,
                "it cannot be made so; `detail` says why",
                "unknown resource 'user'. select name from sluice.resource shows which there are",
            ),
            "409": doc.refused(
                409,
                "another key has this name",
                "there is a key named 'loader' already. choose another name, or rotate that one",
            ),
        },
        requestBody={
            "required": True,
            "content": {"application/json": {"schema": _KEY, "example": _EXAMPLE}},
        },
    ),
)
async def create_key(request: AnyRequest) -> Response[bytes]:
    """A new key."""
    try:
        asked = msgspec.convert(await json_object(request), NewKey)
    except msgspec.ValidationError as exc:
        raise ProblemError(
            400, f"the body must be a JSON object that describes a key: {exc}"
        ) from exc
    values: dict[str, Any] = msgspec.structs.asdict(asked)
    key = await service_of(request).ask("create_api_key", **values)
    return json_reply({"name": asked.name, "key": key}, 201, _NO_STORE)


@post(
    "/keys/{name:str}/rotate",
    status_code=200,
    opt=doc.operation(
        "Give a key a new secret; the old one works for another day",
        "keys",
        _MADE,
        _NAME,
        refusals=(404,),
        headers=("Cache-Control",),
    ),
)
async def rotate_key(request: AnyRequest, name: str) -> Response[bytes]:
    """The new secret of a key."""
    key = await service_of(request).ask("rotate_api_key", name=name)
    return json_reply({"name": name, "key": key}, headers=_NO_STORE)


@delete(
    "/keys/{name:str}",
    status_code=204,
    opt=doc.operation(
        "Revoke a key", "keys", None, _NAME, refusals=(404,), status=204, why="it is ended"
    ),
)
async def revoke_key(request: AnyRequest, name: str) -> None:
    """End a key at once."""
    await service_of(request).ask("revoke_api_key", name=name)
