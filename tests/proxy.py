"""A wire to a server that can be held: nothing comes through, and connections stay open, as with a frozen server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Forwards bytes both ways until it is told to hold them. Made by `a_proxy`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._word: bytes | None = None
        self.held = asyncio.Event()
        self.port = 0

    def hold(self) -> None:
        """Let nothing through any more."""
        self._flowing.clear()
        self.held.set()

    def hold_at(self, word: bytes) -> None:
        """Let nothing through from the first request on that has the word in it; `held` is set then."""
        self._word = word
        self.held.clear()

    def release(self) -> None:
        """Let all through again, beginning with what was held."""
        self._word = None
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            wires = [
                asyncio.create_task(self._pump(reader, far_writer, is_request=True)),
                asyncio.create_task(self._pump(far_reader, writer, is_request=False)),
            ]
            try:
                await asyncio.wait(wires, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wire in wires:
                    wire.cancel()
                await asyncio.gather(*wires, return_exceptions=True)
                far_writer.transport.abort()
                writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if is_request and self._word and self._word in data:
                    self.hold()
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def a_proxy(host: str, port: int) -> AsyncIterator[Proxy]:
    """Serve on a port of its own."""
    proxy = Proxy(host, port)
    connections: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(proxy.serve(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1")
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
