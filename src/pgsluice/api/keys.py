"""API keys over HTTP, for those whose key has the scope admin."""

from datetime import datetime
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from litestar import Response, delete, get, patch, post

from ..errors import ProblemError
from . import key_doc as doc
from .json_body import json_object
from .reply import json_reply
from .service import AnyRequest, service_of

_NO_STORE = {"Cache-Control": "no-store"}
_Asked = TypeVar("_Asked", bound=msgspec.Struct)
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)]
_Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
_Bytes: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10**15)]


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked of a new key; SQL judges the values."""

    name: str
    scopes: list[str] = msgspec.field(default_factory=lambda: ["import", "export"])
    resources: list[str] | None = None
    role: str | None = None
    login: str | None = None
    profile: str | None = None
    rate_limit: _Count | None = None
    expires_at: _Time | None = None
    max_uploads: _Count | None = None
    max_bytes_per_day: _Bytes | None = None


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of a key; what is not set stays."""

    rate_limit: _Count | msgspec.UnsetType | None = msgspec.UNSET
    expires_at: _Time | msgspec.UnsetType | None = msgspec.UNSET
    max_uploads: _Count | msgspec.UnsetType | None = msgspec.UNSET
    max_bytes_per_day: _Bytes | msgspec.UnsetType | None = msgspec.UNSET


@get("/keys", opt=doc.LIST)
async def list_keys(request: AnyRequest) -> Response[bytes]:
    """All keys, without their secrets."""
    return json_reply({"keys": await service_of(request).ask("api_keys_json")}, headers=_NO_STORE)


@post("/keys", status_code=201, opt=doc.CREATE)
async def create_key(request: AnyRequest) -> Response[bytes]:
    """A new key."""
    asked = await _asked(request, NewKey, "that describes a key")
    values: dict[str, Any] = msgspec.structs.asdict(asked)
    key = await service_of(request).ask("create_api_key", **values)
    return json_reply({"name": asked.name, "key": key}, 201, _NO_STORE)


@patch("/keys/{name:str}", opt=doc.UPDATE)
async def update_key(request: AnyRequest, name: str) -> Response[bytes]:
    """The key with its new limits."""
    asked = await _asked(request, Limits, "of limits")
    key = await service_of(request).ask(
        "update_api_key", name=name, changes=msgspec.to_builtins(asked)
    )
    return json_reply(key, headers=_NO_STORE)


async def _asked(request: AnyRequest, form: type[_Asked], what: str) -> _Asked:
    try:
        return msgspec.convert(await json_object(request), form)
    except msgspec.ValidationError as exc:
        raise ProblemError(400, f"the body must be a JSON object {what}: {exc}") from exc


@post("/keys/{name:str}/rotate", status_code=200, opt=doc.ROTATE)
async def rotate_key(request: AnyRequest, name: str) -> Response[bytes]:
    """The new secret of a key."""
    key = await service_of(request).ask("rotate_api_key", name=name)
    return json_reply({"name": name, "key": key}, headers=_NO_STORE)


@delete("/keys/{name:str}", status_code=204, opt=doc.REVOKE)
async def revoke_key(request: AnyRequest, name: str) -> None:
    """End a key at once."""
    await service_of(request).ask("revoke_api_key", name=name)
