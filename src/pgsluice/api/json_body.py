"""A request whose body is one small JSON object."""

import re
from typing import Any

import msgspec

from ..errors import ProblemError
from .body import chunks
from .service import AnyRequest

_MOST = 1024 * 1024
# an escape that is not itself escaped
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def json_object(request: AnyRequest) -> dict[str, Any]:
    """The object of the body; 400 when it is none, 413 when it is larger than 1 MB."""
    held = bytearray()
    async for chunk in chunks(request):
        held += chunk
        if len(held) > _MOST:
            raise ProblemError(413, "the body is larger than 1 MB; a request is a small object")
    try:
        value = msgspec.json.decode(bytes(held))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProblemError(400, f"the body is no JSON: {exc}") from None
    if not isinstance(value, dict):
        raise ProblemError(400, "the body must be a JSON object")
    if _NUL.search(held):
        raise ProblemError(400, "the body holds a NUL character; take it out")
    return value
