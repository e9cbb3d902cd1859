"""Files of exports on their way out: whole or by range, from the store or by a link to it."""

import logging
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from litestar import route
from litestar.response.base import ASGIResponse

from ..errors import ProblemError
from ..store import NotInStoreError, Opened, StoreError
from . import export_doc as doc
from .download import Download, disposition
from .query import parse_id, parse_query
from .ranges import File, Span, check_version, is_known, wanted_span
from .service import AnyRequest, Service, service_of

log = logging.getLogger("pgsluice.api")

_LINK_SECONDS = 900.0


@route(
    "/exports/{job_id:str}/download",
    http_method=["GET", "HEAD"],
    opt=doc.DOWNLOAD | {"linked": True},
)
async def download_export(request: AnyRequest, job_id: str) -> ASGIResponse:
    """The file of an export; 409 before it is done, 410 once it has expired."""
    query = parse_query(request.scope["query_string"], ("file", "token"))
    service, number = service_of(request), parse_id(job_id)
    request.scope["state"]["job_id"] = str(number)
    about = await service.ask("export_download", job_id=number, file=query.get("file"))
    if about["status"] != "completed":
        raise ProblemError(
            409, f"export {number} is {about['status']}; wait for its end", {"Retry-After": "1"}
        )
    file = File(about["bytes"], f'"{about["sha256"]}"', float(about["written"]))
    headers = _headers(about, file)
    check_version(request.headers, file)
    if is_known(request.headers, file):
        return ASGIResponse(status_code=304, headers=_without_content(headers))
    if request.method == "HEAD":
        headers["Content-Length"] = str(file.size)
        return ASGIResponse(headers=headers, is_head_response=True)
    if link := await _link(service, about):
        return ASGIResponse(
            status_code=303, headers={"Location": link, "Cache-Control": "no-store"}
        )
    return await _send(service, about, file, wanted_span(request.headers, file), headers)


def _headers(about: dict[str, Any], file: File) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(about["sha256"])).decode()
    return {
        "Content-Type": about["content_type"],
        "Content-Disposition": disposition(about["name"]),
        "ETag": file.tag,
        "Last-Modified": file.last_modified,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }


def _without_content(headers: dict[str, str]) -> dict[str, str]:
    kept = ("ETag", "Last-Modified", "Cache-Control")
    return {name: headers[name] for name in kept}


async def _link(service: Service, about: dict[str, Any]) -> str | None:
    """A presigned URL, where the settings want one and the store can make one."""
    if service.settings.downloads != "redirect":
        return None
    try:
        return await service.store.signed_url(
            about["path"], max(1.0, min(_LINK_SECONDS, float(about["seconds_left"])))
        )
    except StoreError as exc:
        raise _unavailable(exc) from exc


async def _send(
    service: Service, about: dict[str, Any], file: File, span: Span | None, headers: dict[str, str]
) -> Download:
    start, end = span or (0, file.size)
    try:
        # A range that is empty cannot be asked for.
        opened = await service.store.open(about["path"], start, end if span else None)
    except NotInStoreError as exc:
        raise _gone(about) from exc
    except StoreError as exc:
        raise _unavailable(exc) from exc
    if opened.size != file.size:
        raise _gone(about)
    headers["Content-Length"] = str(end - start)
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return Download(_logged(opened, about), headers, 206 if span else 200)


async def _logged(opened: Opened, about: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    async with aclosing(opened.blocks) as blocks:
        try:
            async for block in blocks:
                yield block
        except StoreError as exc:
            log.warning("the download of export %s broke: %s", about["job_id"], exc)
            raise


def _gone(about: dict[str, Any]) -> ProblemError:
    log.error("the file store has lost %s", about["path"])
    return ProblemError(
        410, f"the file store no longer has {about['name']} as it was written; retry the export"
    )


def _unavailable(exc: StoreError) -> ProblemError:
    log.warning("a download cannot begin: %s", exc)
    return ProblemError(
        503, "the file store is not available right now; try again soon", {"Retry-After": "5"}
    )
