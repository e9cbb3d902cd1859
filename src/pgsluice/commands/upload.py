"""Sending a file as the body of an import, again under the same key when the reply is lost."""

import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..client import Api, BrokenError, ClientError, UnreachableError
from .bars import Bars
from .common import note

_BLOCK = 256 * 1024
# A service that restarts, a cable that is plugged in again.
_PAUSES = (1.0, 2.0, 5.0)
# The first request with our key may still be received, or be noticed as dead, for a minute.
_HELD_SECONDS = 70.0


@dataclass
class Sending:
    """One file on its way, or `-` for standard input; `key` makes repeats one import."""

    remote: Api
    source: str
    params: dict[str, str]
    key: str
    screen: Bars
    sent: int = 0
    whole: bool = False

    @property
    def _name(self) -> str:
        return shown_name(self.source)

    def run(self) -> dict[str, Any]:
        """The accepted job; ClientError says what became of the file, and how to go on."""
        if is_url(self.source):
            return self._post_url()
        if self.source == "-":
            self.screen.bytes("standard input", None)
            try:
                with open(0, "rb", closefd=False) as file:
                    return self._post(file, "standard input", None)
            except (BrokenError, UnreachableError) as exc:
                raise ClientError(
                    f"{exc}; standard input cannot be read again: {_known(self.whole)}. To be "
                    f"sure, send the same with --idempotency-key {self.key}"
                ) from exc
        return self._post_file(Path(self.source))

    def _post_url(self) -> dict[str, Any]:
        body = {**self.params, "url": self.source}
        headers = {"Idempotency-Key": self.key}
        return dict(self.remote.ask("POST", "imports", body, headers=headers))

    def _post_file(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                size = path.stat().st_size if path.is_file() else None
                self.screen.bytes(self._name, size)
                if size is None:
                    return self._post(file, self._name, None)
                return self._persist(file, size)
        except OSError as exc:
            raise ClientError(f"{path} cannot be read: {exc.strerror or exc}") from exc

    def _persist(self, file: io.BufferedReader, size: int) -> dict[str, Any]:
        """Send it until there is a reply: the key sees to it that it becomes one import."""
        pauses = iter(_PAUSES)
        held_until = 0.0
        while True:
            try:
                return self._post(file, self._name, size)
            except (BrokenError, UnreachableError) as exc:
                pause = next(pauses, None)
                if pause is None or not (self.sent or held_until):
                    raise self._given_up(exc) from exc
                note(f"{exc}; sending {self._name} again")
                held_until = time.monotonic() + _HELD_SECONDS
            except ClientError as exc:
                # our own first attempt still holds the key
                if exc.status != 409 or time.monotonic() > held_until:
                    raise
                pause = 1.0
            time.sleep(pause)
            file.seek(0)
            self.screen.reset(self._name)

    def _given_up(self, exc: ClientError) -> ClientError:
        if not self.sent:
            return exc
        return ClientError(
            f"{exc}; {_known(self.whole)}. When the service is back, run the same command with "
            f"--idempotency-key {self.key}: {self._name} becomes one import, however often it is "
            "sent"
        )

    def _post(self, file: io.BufferedReader, name: str, size: int | None) -> dict[str, Any]:
        self.whole = False
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": self.key}
        if size is not None:
            headers["Content-Length"] = str(size)
        job: dict[str, Any] = self.remote.send(
            "imports", self._blocks(file, name, size), self.params, headers
        )
        return job

    def _blocks(self, file: io.BufferedReader, name: str, size: int | None) -> Iterator[bytes]:
        left = size
        # what is there at once: a pipe may take its time for the rest
        while block := file.read1(_BLOCK if left is None else min(_BLOCK, left)):
            yield block
            self.sent += len(block)
            self.screen.advance(name, len(block))
            if left is not None:
                left -= len(block)
        if left:
            raise ClientError(f"{name} became shorter while it was sent; nothing was imported")
        self.whole = True


def is_url(source: str) -> bool:
    """Whether the service is to fetch it."""
    return source.startswith(("http://", "https://"))


def shown_name(source: str) -> str:
    """What a file is called, without its folders; without the query of a URL, a secret maybe."""
    if source == "-":
        return "standard input"
    name = Path(urlsplit(source).path if is_url(source) else source).name or source
    # the system's names are bytes; those that the locale cannot read have come as surrogates
    return os.fsencode(name).decode("utf-8", "replace")


def _known(whole: bool) -> str:
    if whole:
        return "the file was sent whole, and the service may have accepted it"
    return "the file was not sent whole, so nothing of it was imported"
