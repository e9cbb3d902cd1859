"""The HTTP server: a socket, uvicorn on it, and one line that says where."""

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from .failures import CommandError
from .memory import return_large_buffers, spare_the_collector
from .protocol import BoundedProtocol
from .settings import Settings, SettingsError, is_loopback

try:
    import resource
except ImportError:  # Windows, which has no such limit: a name without its module
    resource = None  # type: ignore[assignment]

log = logging.getLogger("pgsluice.server")

# For 5,000 connections, and for pools and files beside them.
_FILES = 8192


class ListenError(CommandError):
    """The service cannot listen, or could not start; the message says why."""


class _Server(uvicorn.Server):
    """Says where it listens, once it answers; a second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        """`closing` is called when it begins to end, before it waits for running requests."""
        super().__init__(config)
        self._closing = closing
        self._loop: asyncio.AbstractEventLoop | None = None
        self.told_twice = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and self._loop is not None:
            log.warning("told twice to stop: ending at once")
            logging.getLogger("uvicorn.error").disabled = True  # it would tell of what we cancel
            self.told_twice = sig
            self._loop.call_soon_threadsafe(_cancel_all)
        super().handle_exit(sig, frame)


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def check_host(settings: Settings, keys_exist: Callable[[], bool]) -> None:
    """Refuse an address that others reach while nobody has to show a key."""
    if is_loopback(settings.host):
        return
    if settings.anonymous:
        log.warning("anyone who reaches %s may %s", settings.host, settings.anonymous)
    elif not settings.api_keys and not keys_exist():
        raise SettingsError(
            f"refused to listen on {settings.host}: whoever reaches it could import and export. "
            "Keep --host 127.0.0.1, make a key first (pgsluice key create NAME), "
            "or allow it with SLUICE_ANONYMOUS=import,export"
        )


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


def _allow_files() -> None:
    """Take as many descriptors as the system lets us: each connection is one."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(settings: Settings, claimed: socket.socket) -> int:
    """Serve until SIGTERM or SIGINT, which let running requests end for ten seconds."""
    from .app import create_app  # Litestar takes half a second to import: only where it is needed

    return_large_buffers()
    _allow_files()
    app = create_app(settings)
    spare_the_collector()
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config, app.state["service"].close)
    try:
        server.run(sockets=[claimed])
    except asyncio.CancelledError:
        return 128 + server.told_twice
    except KeyboardInterrupt:
        if not server.started:
            raise
        # told to stop, it has stopped as it does after a SIGTERM
    if not server.started:
        raise ListenError("the service could not start; the log above says why")
    return 0
