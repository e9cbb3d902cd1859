"""A real web server that files are fetched from, with the manners that a test gives it."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as the origin says for the path."""

    protocol_version = "HTTP/1.1"
    server: "Origin"

    def do_GET(self) -> None:
        """Find the answer; what has none is not there."""
        path = self.path.partition("?")[0]
        self.server.asked.append((self.path, dict(self.headers)))
        with suppress(OSError):
            self.server.answers.get(path, reply(b"nothing here", 404))(self)

    do_POST = do_GET  # noqa: N815 http.server calls it so

    def head(self, status: int, **headers: object) -> None:
        """Send the head of a reply."""
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def cut(self) -> None:
        """Break the connection as a crash does."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Origin(ThreadingHTTPServer):
    """The server; `answers` by path, `asked` the paths and headers that came."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"http://{self.host}{path}"

    def put(self, path: str, answer: Answer | bytes) -> str:
        """Answer so at this path; its URL."""
        self.answers[path] = reply(answer) if isinstance(answer, bytes) else answer
        return self.url(path)

    def times(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked.partition("?")[0] == path for asked, _ in self.asked)

    def handle_error(self, *_: Any) -> None:
        """Clients leave; that is no error."""


@contextmanager
def running() -> Iterator[Origin]:
    """A server in a thread of its own."""
    with Origin() as origin:
        thread = Thread(target=origin.serve_forever, daemon=True)
        thread.start()
        try:
            yield origin
        finally:
            origin.shutdown()
            thread.join(5)


def reply(body: bytes, status: int = 200, **headers: object) -> Answer:
    """The body whole, with its length."""

    def answer(ask: Handler) -> None:
        ask.head(status, **{"Content_Length": len(body), **headers})
        ask.wfile.write(body)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    """Somewhere else."""
    return reply(b"", status, Location=location)


def gzipped(body: bytes) -> Answer:
    """The body as it is stored compressed."""
    return reply(gzip.compress(body), Content_Encoding="gzip")


def chunked(*blocks: bytes) -> Answer:
    """A body without a length, in chunks."""

    def answer(ask: Handler) -> None:
        ask.head(200, Transfer_Encoding="chunked", Content_Type="text/csv")
        for block in blocks:
            ask.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        ask.wfile.write(b"0\r\n\r\n")

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other; the last one stays."""
    left = list(answers)

    def answer(ask: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(ask)

    return answer


@dataclass
class Ranges:
    """A file that can be resumed; each of the first replies is cut after so many bytes."""

    body: bytes
    cuts: list[int] = field(default_factory=list)
    tag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)

    def __call__(self, ask: Handler) -> None:
        wanted, start = ask.headers.get("range"), 0
        self.asked.append(wanted)
        known = ask.headers.get("if-range") in (self.tag, self.modified)
        headers: dict[str, object] = {"ETag": self.tag, "Last_Modified": self.modified}
        if wanted and known and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            total = len(self.body)
            headers["Content_Range"] = f"bytes {start}-{total - 1}/{total}"
        rest = self.body[start:]
        ask.head(206 if start else 200, Content_Length=len(rest), **headers)
        if self.cuts:
            ask.wfile.write(rest[: self.cuts.pop(0)])
            ask.close_connection = True
            return
        ask.wfile.write(rest)


@dataclass
class Dripping:
    """A file of which so many bytes come at once, and the rest when the test says so."""

    body: bytes
    first: int
    go_on: Event = field(default_factory=Event)
    begun: Event = field(default_factory=Event)

    def __call__(self, ask: Handler) -> None:
        ask.head(200, Content_Length=len(self.body))
        ask.wfile.write(self.body[: self.first])
        ask.wfile.flush()
        self.begun.set()
        self.go_on.wait(60)
        ask.wfile.write(self.body[self.first :])


def endless(block: bytes, seconds: float) -> Answer:
    """A block again and again, with pauses: a body that never ends."""

    def answer(ask: Handler) -> None:
        ask.head(200, Transfer_Encoding="chunked", Content_Type="text/csv")
        while True:
            ask.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
            ask.wfile.flush()
            time.sleep(seconds)

    return answer
