"""The bytes of a URL: redirects judged one by one, a cut download resumed where that is safe."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import httpx

from ..outbound import Refused, check_url, client, shown
from ..settings import Settings
from .fetch_errors import TryLater, Unfetchable

STALL_SECONDS = 30.0
_REDIRECTS = 5
_RESUMES = 20
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_NOT_NOW = (408, 425, 429)
# Bytes as they are stored can be resumed; what a server compresses on its way seldom can.
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity, gzip;q=0.5, zstd;q=0.5"}


class Reply:
    """An open download: what its head says, and its body."""

    def __init__(self, asking: "_Asking", first: httpx.Response, url: str) -> None:
        head = first.headers
        self.media_type = head.get("content-type")
        self.content_encoding = head.get("content-encoding")
        names = [_path_name(url), _path_name(str(first.url)), _disposition_name(head)]
        self.names = list(dict.fromkeys(name for name in names if name))
        self.body = asking.body(first)


@asynccontextmanager
async def open_url(settings: Settings, url: str) -> AsyncGenerator[Reply, None]:
    """Ask for a file; Unfetchable or TryLater when it does not come, or does not come whole."""
    async with client(settings, seconds=STALL_SECONDS) as http:
        asking = _Asking(http, settings, url)
        first = await asking.ask({})
        if first.status_code != HTTPStatus.OK:
            await first.aclose()
            raise Unfetchable(f"{asking.where} replied {_phrase(first)}, which is no file")
        reply = Reply(asking, first, url)
        try:
            yield reply
        finally:
            await reply.body.aclose()
            await first.aclose()


class _Asking:
    """One file, asked for as often as it takes."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings, url: str) -> None:
        self._http = http
        self._settings = settings
        self._url = url
        self.where = shown(url)
        self._resumes = 0

    async def ask(self, headers: dict[str, str]) -> httpx.Response:
        """The reply at the end of all redirects, with a status that promises a file."""
        url = self._url
        for _ in range(_REDIRECTS + 1):
            reply = await self._get(url, headers)
            location = reply.headers.get("location")
            if not reply.has_redirect_location:
                return await self._judged(reply)
            await reply.aclose()
            url = self._joined(url, location)
        raise Unfetchable(f"{shown(self._url)} redirects more than {_REDIRECTS} times")

    async def _get(self, url: str, headers: dict[str, str]) -> httpx.Response:
        self.where = shown(url)
        try:
            check_url(self._settings, url)
            request = self._http.build_request("GET", url, headers=_HEADERS | headers)
            return await self._http.send(request, stream=True)
        except Refused as exc:
            led = "" if url == self._url else f"{shown(self._url)} leads to {shown(url)}: "
            raise Unfetchable(f"{led}{exc}") from exc
        except httpx.TransportError as exc:
            raise TryLater(f"{self.where} cannot be asked: {_reason(exc)}") from exc

    def _joined(self, url: str, location: str) -> str:
        try:
            return str(httpx.URL(url).join(location))
        except (httpx.InvalidURL, ValueError) as exc:
            raise Unfetchable(f"{shown(url)} redirects to what is no URL") from exc

    async def _judged(self, reply: httpx.Response) -> httpx.Response:
        status = reply.status_code
        if status < HTTPStatus.BAD_REQUEST:
            return reply
        await reply.aclose()
        said = f"{self.where} replied {_phrase(reply)}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _NOT_NOW:
            raise TryLater(said, _retry_after(reply))
        raise Unfetchable(said)

    async def body(self, first: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The bytes as sent; a cut download goes on where it was cut, if it is still the same."""
        total = _length(first)
        cap = self._settings.max_upload_bytes
        if cap and total is not None and total > cap:
            raise Unfetchable(
                f"{self.where} has {total} bytes, more than the {cap} allowed: split the file, or "
                "raise SLUICE_MAX_UPLOAD_BYTES"
            )
        reply, seen = first, 0
        while True:
            try:
                async for block in reply.aiter_raw():
                    seen += len(block)
                    yield block
                break
            except httpx.TransportError as exc:
                cut = f"{self.where} was cut after {seen} bytes: {_reason(exc)}"
            finally:
                await reply.aclose()
            reply = await self._resumed(first, seen, cut)
        if total is not None and seen != total:
            raise TryLater(f"{self.where} ended after {seen} of {total} bytes")

    async def _resumed(self, first: httpx.Response, seen: int, cut: str) -> httpx.Response:
        """The reply that goes on from where the last one was cut."""
        validator, pause = _validator(first), _FIRST_PAUSE
        while validator and self._resumes < _RESUMES:
            self._resumes += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                rest = await self.ask({"Range": f"bytes={seen}-", "If-Range": validator})
            except TryLater as exc:
                if exc.seconds is not None:
                    raise
                continue
            if _goes_on(first, rest, validator, seen):
                return rest
            await rest.aclose()
            break
        raise TryLater(f"{cut}; it cannot be resumed")


def _goes_on(first: httpx.Response, rest: httpx.Response, validator: str, seen: int) -> bool:
    """True when the rest is of the very bytes that the first reply began."""
    found = re.fullmatch(
        r"bytes (\d+)-(\d+)/(\d+|\*)", rest.headers.get("content-range", "").strip()
    )
    if rest.status_code != HTTPStatus.PARTIAL_CONTENT or not found or int(found[1]) != seen:
        return False
    if found[3] != "*" and int(found[2]) + 1 != int(found[3]):
        return False
    total = _length(first)
    if total is not None and found[3] not in ("*", str(total)):
        return False
    tag = rest.headers.get("etag")
    if validator.startswith('"') and tag is not None and tag != validator:
        return False
    coding = "content-encoding"
    return bool(rest.headers.get(coding) == first.headers.get(coding))


def _validator(reply: httpx.Response) -> str | None:
    """What proves that a later reply is of the same bytes: a strong ETag, or an old enough date."""
    tag = str(reply.headers.get("etag", ""))
    if tag.startswith('"'):
        return tag
    modified, date = _time(reply, "last-modified"), _time(reply, "date")
    # Within the same second it could have been written once more.
    if not tag and modified and date and (date - modified).total_seconds() >= 1:
        return str(reply.headers["last-modified"])
    return None


def _length(reply: httpx.Response) -> int | None:
    text = reply.headers.get("content-length", "")
    if "transfer-encoding" in reply.headers or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def _retry_after(reply: httpx.Response) -> float | None:
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = _time(reply, "retry-after")
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until else None


def _time(reply: httpx.Response, header: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(reply.headers.get(header, ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _phrase(reply: httpx.Response) -> str:
    # Its own words could be anything.
    return f"{reply.status_code} {httpx.codes.get_reason_phrase(reply.status_code)}".rstrip()


def _reason(exc: httpx.TransportError) -> str:
    if isinstance(exc, httpx.ConnectTimeout):
        return "no connection came about in time"
    if isinstance(exc, httpx.TimeoutException):
        return f"nothing came for {STALL_SECONDS:.0f} seconds"
    return str(exc) or type(exc).__name__


def _path_name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _disposition_name(head: httpx.Headers) -> str | None:
    message = Message()
    message["Content-Disposition"] = head.get("content-disposition", "")
    try:
        return message.get_filename()
    except (ValueError, LookupError):
        return None
