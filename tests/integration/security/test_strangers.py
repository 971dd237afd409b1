"""Who stands between us and the server, and who else is on this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.command import Command
from tests.running import on
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

ANYBODY = 65534
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
CLIENT_SSL = 0x0800


class Stripper:
    """Between client and server: says that there is no TLS, and keeps every byte the client sends."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = 0
        self.heard = b""
        self.gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self.server, MysqlServer):
            writer.write(await self._greeting_without_tls())
        else:
            assert await reader.readexactly(8) == _SSL_REQUEST
            writer.write(b"N")
        self.heard += await reader.read()
        writer.close()
        self.gone.set()

    async def _greeting_without_tls(self) -> bytes:
        """The server's own, with the bit of CLIENT_SSL taken out of its capabilities."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        head = await reader.readexactly(4)
        packet = bytearray(await reader.readexactly(int.from_bytes(head[:3], "little")))
        writer.close()
        await writer.wait_closed()
        place = packet.index(0) + 1 + 4 + 8 + 1  # after version, thread id, salt and filler
        low = int.from_bytes(packet[place : place + 2], "little")
        assert low & CLIENT_SSL
        packet[place : place + 2] = (low & ~CLIENT_SSL).to_bytes(2, "little")
        return head + bytes(packet)


@asynccontextmanager
async def stripping(server: Server) -> AsyncIterator[Stripper]:
    made = Stripper(server)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made
        await asyncio.wait_for(made.gone.wait(), 10)


@on("pg15", "mysql", "mariadb")
@pytest.mark.parametrize("tls", ["require", "verify-ca", "verify-full"])
async def test_who_takes_tls_away_gets_neither_password_nor_name(
    any_server: Server, tmp_path: Path, tls: str
) -> None:
    async with stripping(any_server) as between:
        command = Command(
            tmp_path, {"t": any_server.target_dict(port=between.port, tls=tls, host="127.0.0.1")}
        )
        done = await command.run("show", "locks", "-t", "t")
    assert done.code == 3, done
    assert "TLS" in done.err
    assert "Traceback" not in done.err
    assert between.heard == b""


# ---- another user of this machine ---------------------------------------------------------------------

READ = """
import os, sys
for top, folders, files in os.walk(sys.argv[1]):
    for name in folders + files:
        path = os.path.join(top, name)
        try:
            os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
            print(path)
        except OSError:
            pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@on("pg18", "mariadb")
async def test_another_user_reads_nothing_that_was_written(any_server: Server, tmp_path: Path) -> None:
    """Whatever the umask was: ledger, journal, plan, export. The folder itself is open."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python here that another user may run")
    folder = Path(f"/tmp/dbdeck-strangers-{os.getpid()}")
    folder.mkdir()
    folder.chmod(0o755)
    try:
        written = await work(any_server, folder)
        seen = await what_anybody_reads(python, folder)
    finally:
        shutil.rmtree(folder)
    assert {"audit.db", "journal", "plan.json", "export.jsonl"} <= written
    assert seen == {"config.yaml"}


async def work(server: Server, folder: Path) -> set[str]:
    """The names of what is there after it."""
    old = os.umask(0)
    try:
        command = Command(folder, {"t": server.target_dict()})
        command.config.chmod(0o644)
        name = "sort_buffer_size" if isinstance(server, MysqlServer) else "work_mem"
        planned = await command.run(
            "plan",
            "setting.reset",
            "-t",
            "t",
            f"name={name}",
            "scope=server",
            "--out",
            str(folder / "plan.json"),
        )
        applied = await command.run(
            "apply", "session.terminate", "-t", "t", "--yes", "--reason", "x", "id=1",
            "started_at=2026-01-01T00:00:00Z",
        )  # fmt: skip
        exported = await command.run("audit", "export", str(folder / "export.jsonl"))
    finally:
        os.umask(old)
    assert (planned.code, exported.code) == (0, 0), (planned, exported)
    assert applied.code in (1, 2, 4, 6), applied
    modes = {one.name: stat.S_IMODE(one.lstat().st_mode) for one in folder.iterdir()}
    assert {mode & 0o077 for name, mode in modes.items() if name != "config.yaml"} == {0}, modes
    return set(modes)


async def what_anybody_reads(python: str, folder: Path) -> set[str]:
    spy = await asyncio.create_subprocess_exec(
        python, "-c", READ, str(folder), cwd="/", env={}, user=ANYBODY, group=ANYBODY, extra_groups=[],
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await spy.communicate()
    return {Path(line).name for line in said.decode().splitlines()}
