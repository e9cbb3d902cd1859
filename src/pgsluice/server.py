"""The HTTP server: a socket, uvicorn on it, and one line that says where."""

import ipaddress
import logging
import socket

import uvicorn

from .memory import return_large_buffers
from .settings import Settings, SettingsError

log = logging.getLogger("pgsluice.server")


class ListenError(Exception):
    """The service cannot listen, or could not start; the message says why."""


class _Server(uvicorn.Server):
    """Says where it listens, once it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def check_host(settings: Settings) -> None:
    """Refuse an address that others reach while nobody has to show a key."""
    if _is_loopback(settings.host):
        return
    if not settings.anonymous:
        raise SettingsError(
            f"refused to listen on {settings.host}: whoever reaches it could import and export. "
            "Keep --host 127.0.0.1, or allow it with SLUICE_ANONYMOUS=import,export"
        )
    log.warning("anyone who reaches %s may %s", settings.host, settings.anonymous)


def claim(settings: Settings) -> socket.socket:
    """A socket bound to the address of the settings; it listens once the service runs."""
    host, port = settings.host, settings.port
    claimed = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        claimed.bind((host, port))
    except (OSError, UnicodeError) as exc:
        claimed.close()
        why = getattr(exc, "strerror", None) or exc
        raise ListenError(
            f"cannot listen on {host} port {port}: {why}; see --host and --port"
        ) from exc
    return claimed


def run(settings: Settings, claimed: socket.socket) -> int:
    """Serve until SIGTERM or SIGINT, which let running requests end for ten seconds."""
    from .app import create_app  # Litestar takes half a second to import: only where it is needed

    return_large_buffers()
    config = uvicorn.Config(
        create_app(settings),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config)
    server.run(sockets=[claimed])
    if not server.started:
        raise ListenError("the service could not start; the log above says why")
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
