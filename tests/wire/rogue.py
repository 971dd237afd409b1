"""A server that speaks just enough of MySQL's login to ask for what it should not get."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pymysql.constants import CLIENT

SALT = b"0123456789abcdefghij"
CAPABILITIES = (
    CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION | CLIENT.PLUGIN_AUTH | CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
)


def greeting(plugin: str, capabilities: int = CAPABILITIES) -> bytes:
    return (
        b"\x0a8.0.99\0"
        + struct.pack("<I", 7)
        + SALT[:8]
        + b"\0"
        + struct.pack("<HBHHB", capabilities & 0xFFFF, 45, 2, capabilities >> 16, len(SALT) + 1)
        + bytes(10)
        + SALT[8:]
        + b"\0"
        + plugin.encode()
        + b"\0"
    )


def switch(plugin: str) -> bytes:
    return b"\xfe" + plugin.encode() + b"\0" + SALT + b"\0"


class Rogue:
    """`received` is every byte a client sent; `says` are the packets, one after each of the client's."""

    def __init__(self, says: Sequence[bytes]) -> None:
        self.received = b""
        self.port = 0
        self.done = asyncio.Event()
        self._says = list(says)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            for number, packet in enumerate(self._says):
                writer.write(len(packet).to_bytes(3, "little") + bytes([number * 2]) + packet)
                await writer.drain()
                head = await reader.readexactly(4)
                self.received += head + await reader.readexactly(int.from_bytes(head[:3], "little"))
            self.received += await reader.read()
        self.done.set()


@asynccontextmanager
async def rogue(*says: bytes) -> AsyncIterator[Rogue]:
    server = Rogue(says)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
        await asyncio.wait_for(server.done.wait(), 5)
        await asyncio.sleep(0)
