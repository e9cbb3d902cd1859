"""The commands that are clients of a running service: requests, replies, plain words.

ClientError                the service has refused, or what answers is no pgsluice
├── UnreachableError       nobody answers there
└── BrokenError            the connection broke before the reply was whole
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from .failures import CommandError
from .settings import Settings

if TYPE_CHECKING:
    import ssl

    import httpx

# Each request would be a line in the log.
logging.getLogger("httpx").setLevel(logging.WARNING)

_REPLY_SECONDS = 30.0
# A stage may be busy for a while before it takes or gives the next bytes.
_STREAM_SECONDS = 300.0
_CONNECT_SECONDS = 10.0


class ClientError(CommandError):
    """The service has refused; the message says what to do, `status` what HTTP calls it."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(ClientError):
    """Nobody answers at the service's address."""


class BrokenError(ClientError):
    """The connection broke before the reply was whole: nobody knows what became of the request."""


@dataclass(frozen=True)
class Api:
    """A service as a command sees it: where it is, and the key to show."""

    url: str
    prefix: str
    key: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The reply to one request, decoded; None when it has no body.

        `path` stands below the API's prefix ("schedules/nightly"), or at the root ("/ready").
        """
        seconds = _REPLY_SECONDS
        return self._reply(method, path, seconds, json=body, params=params, headers=headers)

    def send(
        self, path: str, blocks: Iterable[bytes], params: Mapping[str, str], headers: dict[str, str]
    ) -> Any:
        """The decoded reply to a POST whose body is these blocks, sent as they come."""
        seconds = _STREAM_SECONDS
        return self._reply("POST", path, seconds, content=blocks, params=params, headers=headers)

    @contextmanager
    def stream(
        self,
        path: str,
        params: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        seconds: float = _STREAM_SECONDS,
    ) -> "Iterator[httpx.Response]":
        """The reply to a GET, its body not read yet; BrokenError when that stops for so long."""
        with (
            self._failures() as wire,
            wire.stream(
                "GET",
                self._at(path),
                params=list(params),
                headers=self._headers(headers),
                timeout=_patience(seconds),
            ) as reply,
        ):
            yield _begun(reply)

    @contextmanager
    def download(
        self, path: str, params: Iterable[tuple[str, str]], headers: Mapping[str, str]
    ) -> "Iterator[httpx.Response]":
        """As stream(); where the service links to its file store, the reply of that."""
        with (
            self._failures() as wire,
            wire.stream(
                "GET",
                self._at(path),
                params=list(params),
                headers=self._headers(headers),
                timeout=_patience(_STREAM_SECONDS),
            ) as reply,
        ):
            link = reply.headers.get("location") if reply.status_code == 303 else None
            if link is None:
                yield _begun(reply)
                return
        # The link carries its own permission: our key is nobody else's business.
        with (
            self._failures(link) as wire,
            wire.stream(
                "GET", link, headers=dict(headers), timeout=_patience(_STREAM_SECONDS)
            ) as reply,
        ):
            yield _begun(reply)

    def _reply(
        self, method: str, path: str, seconds: float, *, headers: Mapping[str, str] | None,
        **more: Any,
    ) -> Any:  # fmt: skip
        with self._failures() as wire:
            reply = wire.request(
                method,
                self._at(path),
                headers=self._headers(headers),
                timeout=_patience(seconds),
                **more,
            )
        return _checked(reply)

    def _at(self, path: str) -> str:
        return self.url + path if path.startswith("/") else f"{self.url}/{self.prefix}/{path}"

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        key = {"X-API-Key": self.key} if self.key else {}
        # whatever shape the key or the service prefers: this one we can read
        return {"Accept-Profile": "default", **key, **(more or {})}

    @contextmanager
    def _failures(self, link: str | None = None) -> "Iterator[httpx.Client]":
        httpx = _httpx()
        try:
            with httpx.Client(verify=_trust(link or self.url), trust_env=False) as wire:
                yield wire
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.InvalidURL,
            httpx.UnsupportedProtocol,
        ) as exc:
            if link:
                told = f"the file store that {self.url} links to cannot be reached ({exc})"
                raise BrokenError(told) from exc
            raise _unreachable(self.url, exc) from exc
        except httpx.HTTPError as exc:
            raise BrokenError(
                f"the connection to {self.url} broke ({exc or type(exc).__name__})"
            ) from exc


def _httpx() -> Any:
    """httpx, which commands that ask nobody do without, without its own command line.

    That one would bring click, rich and pygments: half of the time that a command takes to start.
    """
    # None says to an import that there is no such module, which the type of sys.modules hides
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    import httpx

    return httpx


def _patience(seconds: float) -> Any:
    return _httpx().Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


@cache
def _trust(url: str) -> "ssl.SSLContext":
    """Whom to trust: the machine's authorities and the usual ones; on plain http nobody is asked,
    and reading them takes a while.
    """
    import ssl

    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context: ssl.SSLContext = _httpx().create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def api(settings: Settings, key_file: Path | None = None) -> Api:
    """The service of the settings; its key from the file, else from SLUICE_API_KEY."""
    return Api(settings.url.rstrip("/"), settings.api_prefix, _key(settings, key_file))


def ask(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    """One request to the service of the settings, with the key of the settings."""
    return api(settings).ask(method, path, body)


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _key(settings: Settings, key_file: Path | None) -> str:
    if key_file is None:
        return settings.api_key
    try:
        words = key_file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise ClientError(f"the key file {key_file} cannot be read: {why}") from exc
    if len(words) != 1 or not words[0].isascii():
        raise ClientError(f"the key file {key_file} must hold one key and nothing else")
    return words[0]


def _unreachable(url: str, exc: Exception) -> UnreachableError:
    return UnreachableError(
        f"no service answers at {url} ({exc or type(exc).__name__}): start "
        "`pgsluice serve`, or say where it is by --url or SLUICE_URL"
    )


def _begun(reply: "httpx.Response") -> "httpx.Response":
    """A reply whose body is not read yet, unless it is a refusal."""
    if not reply.is_success:
        reply.read()
        _checked(reply)
    return reply


def _checked(reply: "httpx.Response") -> Any:
    if reply.is_success:
        return _decoded(reply) if reply.content else None
    raise ClientError(_reason(reply), reply.status_code)


def _decoded(reply: "httpx.Response") -> Any:
    try:
        return msgspec.json.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ClientError(
            f"what answers at {reply.url} is no pgsluice: its reply is no JSON"
        ) from exc


def _reason(reply: "httpx.Response") -> str:
    where = str(reply.url.copy_with(query=None))
    try:
        problem = _decoded(reply)
    except ClientError:
        problem = None
    if isinstance(problem, dict) and isinstance(detail := problem.get("detail"), str):
        return detail + _hint(reply.status_code)
    return f"{where} replied {reply.status_code} {reply.reason_phrase}: is that pgsluice?"


def _hint(status: int) -> str:
    if status == 401:
        return "; give this command one by SLUICE_API_KEY or --key-file"
    return ""
