"""A wire that breaks where it is told to: within the upload, before the reply, within the reply."""

import socket
import threading
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class Wire:
    """Passes connections on to a service; those that `breaks` counts (from 1) break.

    `up` and `down` are bytes after which each of those ends: of the request, of the reply.
    """

    def __init__(
        self, url: str, *, breaks: Container[int], up: int | None = None, down: int | None = None
    ) -> None:
        where = urlsplit(url)
        self._target = where.hostname or "", where.port or 0
        self._breaks, self._up, self._down = breaks, up, down
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self._sockets = [self._listening]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._sockets:
            one.close()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._sockets.append(near)
                far = socket.create_connection(self._target)
                self._sockets.append(far)
                self.connections += 1
                cut = self.connections in self._breaks
                self._start(_pass, near, far, self._up if cut else None)
                self._start(_pass, far, near, self._down if cut else None)


def _pass(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):
        while block := source.recv(65536):
            if limit is not None and passed + len(block) > limit:
                block = block[: limit - passed]
                sink.sendall(block)
                break
            sink.sendall(block)
            passed += len(block)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
