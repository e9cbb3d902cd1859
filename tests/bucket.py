"""An S3 server in a process of its own (moto), which can be stopped and started again."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


class Bucket:
    """One bucket of the server; `environ` is what a client must know."""

    name = "shelf"

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that keeps its files in the bucket."""
        return {
            "SLUICE_STORE": f"s3://{self.name}/some/prefix",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def start(self) -> None:
        """Start the server, which then has no bucket at all."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(self.url)
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("moto does not answer")

    def stop(self) -> None:
        """Stop the server; nothing answers at its port."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def create(self) -> None:
        """Create the bucket."""
        place = "<CreateBucketConfiguration><LocationConstraint>eu-central-1"
        place += "</LocationConstraint></CreateBucketConfiguration>"
        assert httpx.put(f"{self.url}/{self.name}", content=place).status_code == 200

    def objects(self) -> list[str]:
        """The objects in the bucket."""
        return self._ask("list-type=2", "Key")

    def uploads(self) -> list[str]:
        """The uploads that were begun and neither completed nor aborted."""
        return self._ask("uploads", "Key")

    def _ask(self, query: str, tag: str) -> list[str]:
        text = httpx.get(f"{self.url}/{self.name}?{query}").text
        return re.findall(f"<{tag}>(.*?)</{tag}>", text)


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A running server with its bucket."""
    made = Bucket()
    made.start()
    try:
        made.create()
        yield made
    finally:
        made.stop()
