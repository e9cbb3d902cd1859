"""The console: static files that the browser runs; all it knows comes through the API."""

import hashlib
import html
import json
from pathlib import Path

from litestar import Response, get
from litestar.response import Redirect

from .. import __version__
from ..errors import ProblemError
from ..ingest.format import suffixes
from . import console_doc as doc
from .service import AnyRequest, service_of

_FOLDER = Path(__file__).parents[1] / "console"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Read once: what is not in here does not exist, whatever a path says.
_FILES = {
    file.relative_to(_FOLDER).as_posix(): file.read_bytes()
    for file in sorted(_FOLDER.rglob("*"))
    if file.suffix in _TYPES
}
_PAGE = (_FOLDER / "index.html").read_text("utf-8")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'none'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@get("/", opt=doc.PAGE)
async def console(request: AnyRequest) -> Response[bytes]:
    """The page that a browser should see first; it needs no key, what it asks for does."""
    about = {
        "version": __version__,
        "api": service_of(request).settings.api_prefix,
        "files": suffixes(),
    }
    page = _PAGE.replace("{config}", html.escape(json.dumps(about)))
    return _tagged(request, page.encode(), "text/html", {"Content-Security-Policy": _POLICY})


@get("/console/{file:path}", opt=doc.FILE)
async def console_file(request: AnyRequest, file: str) -> Response[bytes]:
    """A script, a style or a picture of the console."""
    name = str(file).lstrip("/")
    content = _FILES.get(name)
    if content is None:
        raise ProblemError(404, f"the console has no file {name[:100]!r}")
    return _tagged(request, content, _TYPES[Path(name).suffix])


@get("/admin/queues", opt=doc.MOVED, status_code=302)
async def earlier_queues() -> Redirect:
    """Where an earlier system showed its queue."""
    return Redirect("/#/jobs")


def _tagged(
    request: AnyRequest, content: bytes, kind: str, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """The file, or 304; asked for again each time, so that an upgrade is seen at once."""
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    known = {
        word.strip().removeprefix("W/")
        for word in request.headers.get("if-none-match", "").split(",")
    }
    more = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    if tag.removeprefix("W/") in known or "*" in known:
        return Response(b"", status_code=304, headers=more, media_type=kind)
    return Response(content, headers=more, media_type=kind)
