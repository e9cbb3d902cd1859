"""A network that can be cut: a TCP proxy whose sockets stop answering, as behind a dead router."""

import asyncio
import ctypes
import socket
import struct
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

# A socket filter that lets no packet in: the kernel then confirms nothing to the other side,
# and says nothing of it either. (struct sock_fprog with one instruction: return 0)
_DROP = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_DROP_ALL = struct.pack("HL", 1, ctypes.addressof(_DROP))
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27


class Proxy:
    """Passes bytes on to host and port, on a port of its own, until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._passing = asyncio.Event()
        self._passing.set()
        self._sockets: set[Any] = set()
        self._pipes: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Pass nothing on, confirm nothing, close nothing; new connections are not answered."""
        self._run(self._set(passing=False))

    def mend(self) -> None:
        """Pass on again, what came before the cut first."""
        self._run(self._set(passing=True))

    def _run(self, work: Any) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(10)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        listening = self._server.sockets[0]
        self._sockets.add(listening)
        self.port = listening.getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await asyncio.sleep(0.1)

    async def _set(self, *, passing: bool) -> None:
        option = (_SO_DETACH_FILTER, 0) if passing else (_SO_ATTACH_FILTER, _DROP_ALL)
        for one in self._sockets:
            with suppress(OSError):  # closed meanwhile, or made after the cut
                one.setsockopt(socket.SOL_SOCKET, *option)
        if passing:
            self._passing.set()
        else:
            self._passing.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(*self._target)
        both = writer.get_extra_info("socket"), onward[1].get_extra_info("socket")
        self._sockets.update(both)
        pipes = [
            asyncio.create_task(self._pipe(reader, onward[1])),
            asyncio.create_task(self._pipe(onward[0], writer)),
        ]
        self._pipes.update(pipes)
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        self._sockets.difference_update(both)
        for pipe in pipes:
            pipe.cancel()
        for each in (writer, onward[1]):
            each.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return  # the other side has given up
