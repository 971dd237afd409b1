"""A TCP proxy on loopback that stands between a client and a server, and breaks the wire on command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK = 1 << 18


class Proxy:
    """Connect to `host`:`port`. `sent` and `received` count bytes as the client sees them, `turns` how often
    it spoke after the server had: round trips. The server sees `source` as the client's address.
    """

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int, source: str | None = None) -> None:
        self.target = (target_host, target_port)
        self._source = (source, 0) if source else None
        self.port = 0
        self.connections = 0
        self.sent = 0
        self.received = 0
        self.turns = 0
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Accept connections (again, after `drop`, on the same port)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def stall(self) -> None:
        """A server that hangs: connections are accepted and kept, and no byte goes either way."""
        self._open.clear()

    def resume(self) -> None:
        """Go on; what was sent in the meantime arrives now."""
        self._open.set()

    def kill(self) -> None:
        """Reset every connection; new ones are welcome."""
        for writer in list(self._writers):
            _reset(writer)

    def drop(self) -> None:
        """A server that is gone: every connection is reset and new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.kill()

    async def close(self) -> None:
        self.drop()
        self.resume()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._relay(reader, writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(*self.target, local_addr=self._source)
            self._writers.add(far_writer)
            try:
                await self._pump_both(reader, writer, far_reader, far_writer)
            finally:
                self._forget(far_writer)
        finally:
            self._forget(writer)

    async def _pump_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        spoke: list[bool] = [False]  # whether the client was the last to speak on this connection
        up = asyncio.ensure_future(self._pump(reader, far_writer, spoke, up=True))
        down = asyncio.ensure_future(self._pump(far_reader, writer, spoke, up=False))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoke: list[bool], *, up: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            if up:
                self.sent += len(data)
                self.turns += not spoke[0]
            else:
                self.received += len(data)
            spoke[0] = up
            writer.write(data)
            await writer.drain()

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN: what a machine that vanished, or a firewall, does to a connection."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def tcp_proxy(target_host: str, target_port: int, source: str | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(target_host, target_port, source)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
