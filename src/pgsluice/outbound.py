"""HTTP to other hosts, for files fetched by URL and for webhooks: no way into our own network.

A URL is judged by its text (`check_url`) and again by the addresses that its host has at the moment
of connecting: every one of them is checked, and the connection goes to a checked one, so that a
name which changes its answer gains nothing. TLS still names and checks the host.
"""

import asyncio
import ipaddress
import logging
import re
import socket
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeAlias

import anyio
import httpcore
import httpx

from . import __version__
from .settings import Settings

_CONNECT_SECONDS = 10.0
_LONGEST_URL = 8192
_CREDENTIALS = "the URL holds a user name or password; leave it out"
_PORTS = {"http": 80, "https": 443}

_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
# Translated by the network itself (RFC 6052): an address for what its last 32 bits say.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Not for the public, whatever the tables of this Python say; tunnels that lead to any IPv4 address;
# and what a cloud answers to its own machines only (168.63.129.16).
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# It writes whole URLs into the log, and the query of a presigned one is a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Refused(Exception):  # noqa: N818 the name says what happened
    """A URL that may not be asked; a plain sentence says why, without its secrets."""


def check_url(settings: Settings, url: str) -> None:
    """Refuse a URL by its text: scheme, credentials, host, and the list of hosts if there is one.

    Where its name leads is judged when a connection is made; see `client`.
    """
    _check(_listed_hosts(settings), _parse(url))


def is_listed(settings: Settings, url: str) -> bool:
    """True when SLUICE_URL_HOSTS names the host of this URL, which may then be private."""
    parsed = _parse(url)
    return _is_listed(_listed_hosts(settings), _host(parsed), _port(parsed))


def shown(url: str) -> str:
    """A URL as it may be shown: scheme, host and path; its query may be a secret."""
    return re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])


def client(settings: Settings, *, seconds: float) -> httpx.AsyncClient:
    """A client whose every request and connection is judged; Refused comes out of the request.

    It follows no redirect, knows no proxy, netrc or cookie, and waits at most `seconds` for each
    block of a reply, of whose header it reads at most 100 KB.
    """
    return httpx.AsyncClient(
        transport=_Guarded(_listed_hosts(settings)),
        timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": f"pgsluice/{__version__}", "Accept-Encoding": "identity"},
        follow_redirects=False,
        trust_env=False,
    )


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, as they are at this moment."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """True for an address that anyone on the internet would reach under this number."""
    address: _Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address not in _GLOBAL_V6 or address.scope_id:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _SPECIAL)
    )


class _Network(httpcore.AsyncNetworkBackend):
    """Connections to checked addresses only."""

    def __init__(self, listed: frozenset[str]) -> None:
        self._listed = listed
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 httpcore calls it so
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first of the host's addresses that answers."""
        try:
            with anyio.fail_after(timeout):
                addresses = await resolve(host, port)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(f"the name {host} is not answered") from exc
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"the host {host} is not known") from exc
        if not _is_listed(self._listed, host, port) and not all(map(is_public, addresses)):
            raise Refused(
                f"the host {host} has an address that is not public; name the host in "
                "SLUICE_URL_HOSTS if it may be asked all the same"
            )
        failure: Exception = httpcore.ConnectError(f"the host {host} has no address")
        for address in addresses:
            try:
                return await self._plain.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure


class _Guarded(httpx.AsyncHTTPTransport):
    """httpx's transport over guarded connections; judges each URL once more."""

    def __init__(self, listed: frozenset[str]) -> None:
        # SSL_CERT_FILE and SSL_CERT_DIR name the authorities; a proxy would resolve for itself.
        context = httpx.create_ssl_context(trust_env=True)
        super().__init__(verify=context, trust_env=False)
        self._listed = listed
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_Network(listed),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The reply of a host that may be asked."""
        _check(self._listed, request.url)
        return await super().handle_async_request(request)


def _parse(url: str) -> httpx.URL:
    """The URL as the client itself will read it: a second parser could read another host."""
    if len(url) > _LONGEST_URL:
        raise Refused(f"the URL has {len(url)} characters, more than {_LONGEST_URL}")
    if re.search(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]", url):
        raise Refused("the URL has a space, a control character or a backslash; percent-encode it")
    if re.match(r"[^/?#]*//[^/?#]*@", url):
        raise Refused(_CREDENTIALS)
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise Refused("the URL cannot be read; give one like https://example.org/file.csv") from exc


def _check(listed: frozenset[str], url: httpx.URL) -> None:
    if url.scheme not in _PORTS or not url.raw_host:
        raise Refused("the URL must begin with https:// and name a host")
    if url.userinfo:
        raise Refused(_CREDENTIALS)
    host, port = _host(url), _port(url)
    if not 0 < port < 65536 or len(host) > 253:
        raise Refused("the URL has a host or a port that cannot be")
    if _is_listed(listed, host, port):
        return
    if listed:
        raise Refused(f"the host {_named(host)}:{port} is not one of SLUICE_URL_HOSTS")
    if url.scheme != "https":
        raise Refused("the URL must begin with https://; http:// is for hosts of SLUICE_URL_HOSTS")
    _check_host(host)


def _check_host(host: str) -> None:
    """Refuse what cannot be public: numbers in disguise, special addresses, bare local names."""
    try:
        address: str | None = str(ipaddress.ip_address(host))
    except ValueError:
        address = None
    if address is None:
        # A resolver reads 2130706433, 0x7f.1 and 0177.0.0.1 as addresses too.
        if re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", host.rpartition(".")[2]):
            raise Refused(f"the host {host} is a number, but no IPv4 address like 192.0.2.1")
        if host == "localhost" or host.endswith(".localhost"):
            raise Refused(f"the host {host} is not public")
    elif not is_public(address):
        raise Refused(f"the address {host} is not public")


def _listed_hosts(settings: Settings) -> frozenset[str]:
    """The entries of SLUICE_URL_HOSTS: `host` stands for all its ports, `host:port` for one."""
    words = (word.strip().lower().rstrip(".") for word in settings.url_hosts.split(","))
    return frozenset(word for word in words if word)


def _is_listed(listed: frozenset[str], host: str, port: int) -> bool:
    host = host.lower().rstrip(".")
    named = _named(host)
    return not listed.isdisjoint({host, named, f"{named}:{port}"})


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower().rstrip(".")


def _port(url: httpx.URL) -> int:
    # 0 is a port that cannot be, not one that was left out
    return _PORTS.get(url.scheme, 0) if url.port is None else url.port
