"""A console whose terminal goes away ends, also where no SIGHUP tells it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from pathlib import Path

from tests.command import Command

NOBODY = {
    "engine": "postgres", "host": "127.0.0.1", "port": 1, "environment": "dev", "tls": "off",
    "monitor": {"user": "nobody"},
}  # fmt: skip


async def drawn(master: int, text: bytes) -> None:
    seen = b""
    async with asyncio.timeout(60):
        while text not in seen:
            with contextlib.suppress(BlockingIOError):
                seen += os.read(master, 65536)
            await asyncio.sleep(0.05)


async def test_a_terminal_that_is_closed_ends_the_console(tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": NOBODY})
    master, terminal = pty.openpty()
    os.set_blocking(master, False)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "--config", str(command.config),
        stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True,  # it has no controlling terminal then, and gets no SIGHUP
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(terminal)
    try:
        await drawn(master, b"Locks")
        os.close(master)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
