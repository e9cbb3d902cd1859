"""The API's own pages: the OpenAPI document and a page that shows it, offline."""

import hashlib
import re
from base64 import b64encode
from pathlib import Path

from litestar import Response, get
from litestar.response import Redirect

from . import console_doc
from . import read_doc as doc
from .reply import json_reply
from .service import AnyRequest

_PAGE = Path(__file__).with_name("docs.html").read_text("utf-8")


def _hash_of(tag: str) -> str:
    """What a policy must name for the one element of this tag to count."""
    found = re.search(f"<{tag}>(.*?)</{tag}>", _PAGE, re.DOTALL)
    digest = hashlib.sha256(found[1].encode() if found else b"").digest()
    return f"'sha256-{b64encode(digest).decode()}'"


_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; "
    f"style-src {_hash_of('style')}; script-src {_hash_of('script')}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@get("/openapi.json", opt=doc.OPENAPI)
async def openapi_json(request: AnyRequest) -> Response[bytes]:
    """The OpenAPI 3.1 document of this very service."""
    return json_reply(request.app.state["openapi"])


@get("/docs", opt=doc.DOCS)
async def docs() -> Response[str]:
    """A page that shows the document, without anything from elsewhere."""
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


@get("/api/docs", opt=console_doc.MOVED, status_code=302)
async def earlier_docs() -> Redirect:
    """Where an earlier system had its page."""
    return Redirect("/docs")
