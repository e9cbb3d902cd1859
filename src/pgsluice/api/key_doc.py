"""The document of API keys over HTTP."""

from ..models import Schema
from .openapi import content, linked, operation, parameter, refused

_NAME = parameter("name", "name of the key", where="path")
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
_LIMITS: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: _KEY["properties"][name]
        for name in ("rate_limit", "expires_at", "max_uploads", "max_bytes_per_day")
    },
}
_EXAMPLE = {"name": "loader", "scopes": ["import"], "resources": ["users"]}
_MADE = content(
    {
        "type": "object",
        "required": ["name", "key"],
        "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
        "additionalProperties": False,
    },
    {"name": "loader", "key": "slk_8LGM3n3xkVJ8KQ7vW0bTzY5c1oHqRdNfEiPjXuSsAg4"},
)
_LINKS = linked("then", "rotate_key", "update_key", "revoke_key", name="$response.body#/name")
_ONE = content({"$ref": "#/components/schemas/Key"})
_LIST = content(
    {
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}}},
        "additionalProperties": False,
    }
)
LIST = operation("List API keys", "keys", _LIST, refusals=(), headers=("Cache-Control",))
CREATE = operation(
    "Make an API key; the reply is the only one that shows it",
    "keys",
    _MADE,
    refusals=(413,),
    headers=("Cache-Control",),
    status=201,
    why="it is made",
    links=_LINKS,
    responses={
        "400": refused(
            400,
            "it cannot be made so; `detail` says why",
            "unknown resource 'user'. select name from sluice.resource shows which there are",
        ),
        "409": refused(
            409,
            "another key has this name",
            "there is a key named 'loader' already. choose another name, or rotate that one",
        ),
    },
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": _KEY, "example": _EXAMPLE}},
    },
)
UPDATE = operation(
    "Change limits of a key, from its next request on",
    "keys",
    _ONE,
    _NAME,
    refusals=(404, 413),
    headers=("Cache-Control",),
    description="`null` takes a limit away; what is left out stays as it is. Scopes, resources, "
    "role, login and profile stay for life: make another key.",
    responses={
        "400": refused(
            400,
            "a limit cannot be so; `detail` says why",
            "expires_at lies in the past. to end a key, revoke it",
        ),
    },
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": _LIMITS,
                "example": {"rate_limit": 600, "max_uploads": None},
            }
        },
    },
)
ROTATE = operation(
    "Give a key a new secret; the old one works for another day",
    "keys",
    _MADE,
    _NAME,
    refusals=(404,),
    headers=("Cache-Control",),
)
REVOKE = operation(
    "Revoke a key", "keys", None, _NAME, refusals=(404,), status=204, why="it is ended"
)
