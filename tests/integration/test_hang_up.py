"""A console whose terminal goes away ends, told by SIGHUP or not, and one that was stopped goes on."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.command import Command
from tests.guards.sources import ROOT
from tests.integration.test_maintenance_command import on
from tests.servers.postgres import PostgresServer
from tests.situations import scene

NOBODY = {
    "engine": "postgres", "host": "127.0.0.1", "port": 1, "environment": "dev", "tls": "off",
    "monitor": {"user": "nobody"},
}  # fmt: skip
CTRL_Z = b"\x1a"


async def drawn(master: int, text: bytes) -> None:
    seen = b""
    async with asyncio.timeout(60):
        while text not in seen:
            with contextlib.suppress(BlockingIOError):
                seen += os.read(master, 65536)
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def shell() -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """One with job control, at a terminal of its own."""
    master, terminal = pty.openpty()
    os.set_blocking(master, False)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        "bash", "--norc", "--noprofile", "-i",
        stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True,
        preexec_fn=partial(fcntl.ioctl, terminal, termios.TIOCSCTTY, 0),
        env={**os.environ, "TERM": "xterm-256color", "PS1": "$ "},
        cwd=ROOT,
    )  # fmt: skip
    os.close(terminal)
    try:
        yield master, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)  # which ends what was started there


@contextlib.asynccontextmanager
async def console(
    command: Command, *, controlled: bool = True
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """The other end of its terminal, which sends SIGHUP at its end only if it is the controlling one."""
    master, terminal = pty.openpty()
    os.set_blocking(master, False)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "--config", str(command.config),
        stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True,
        preexec_fn=partial(fcntl.ioctl, terminal, termios.TIOCSCTTY, 0) if controlled else None,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(terminal)
    try:
        await drawn(master, b"Locks")
        yield master, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("controlled", [False, True])
async def test_a_terminal_that_is_closed_ends_the_console(tmp_path: Path, *, controlled: bool) -> None:
    """With SIGHUP comes SIGCONT, which is no reason to begin anew."""
    async with console(Command(tmp_path, {"t": NOBODY}), controlled=controlled) as (master, process):
        os.close(master)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_console_that_was_stopped_goes_on_and_can_be_left(tmp_path: Path) -> None:
    async with console(Command(tmp_path, {"t": NOBODY})) as (master, process):
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
            await drawn(master, b"Locks")  # all of it, because a shell has written on it meanwhile
        os.write(master, b"q")
        assert await asyncio.wait_for(ended(master, process), 30) == 0


async def test_where_no_shell_waits_nothing_is_stopped(tmp_path: Path) -> None:
    """The console of `ssh HOST dbdeck` leads a session of its own: stopped, nobody could let it go on."""
    async with console(Command(tmp_path, {"t": NOBODY})) as (master, process):
        os.write(master, CTRL_Z)
        await drawn(master, b"there is no shell to go back to")
        os.write(master, b"q")
        assert await asyncio.wait_for(ended(master, process), 30) == 0


@pytest.mark.parametrize("ahead", ["", "timeout --foreground 600 "])
async def test_a_shell_has_its_turn_and_brings_the_console_back(tmp_path: Path, ahead: str) -> None:
    """Also one that waits for a program in front of the console, as for `make`."""
    command = Command(tmp_path, {"t": NOBODY})
    async with shell() as (master, process):
        line = f"{ahead}{sys.executable} -m console --config {command.config}"
        os.write(master, f"{line}\n".encode())
        await drawn(master, b"FAILING")
        os.write(master, CTRL_Z)
        await drawn(master, b"Stopped")
        os.write(master, b"echo is$((1 + 1))here\n")
        await drawn(master, b"is2here")
        os.write(master, b"fg\n")
        await drawn(master, b"Locks")
        os.write(master, b"q")
        await drawn(master, b"\x1b[?1049l")
        os.write(master, b"echo left $?; exit\n")
        await drawn(master, b"left 0")
        assert await asyncio.wait_for(ended(master, process), 30) == 0


@contextlib.asynccontextmanager
async def in_the_middle(
    server: PostgresServer, folder: Path
) -> AsyncIterator[tuple[Command, int, asyncio.subprocess.Process]]:
    """A console whose action waits for a lock that somebody holds."""
    async with scene(server) as shop:
        command = on(shop, server, folder)
        blocker = await shop.client("blocker")
        await blocker.run("begin")
        await blocker.run("lock table orders in access exclusive mode")
        async with console(command) as (master, process):
            await under_way(command, master)
            yield command, master, process


async def test_nobody_is_left_behind_in_the_middle_of_an_action(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    async with in_the_middle(postgres18, tmp_path) as (command, master, process):
        os.write(master, CTRL_Z)
        await drawn(master, b"something runs")
        os.write(master, b"q")
        assert await asyncio.wait_for(ended(master, process), 60) == 0
        assert await command.kinds() == ["intent", "step", "outcome"]


async def test_what_is_under_way_is_recorded_though_nobody_can_be_told(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    async with in_the_middle(postgres18, tmp_path) as (command, master, process):
        os.close(master)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert await command.kinds() == ["intent", "step", "outcome"]


async def under_way(command: Command, master: int) -> None:
    """A vacuum that waits for the table, each key pressed when what it is for has been drawn."""
    for keys, seen in (("3", b"orders"), ("v", b"Enter plans it"), ("\r", b"held up now")):
        os.write(master, keys.encode())
        await drawn(master, seen)
    os.write(master, b"why\r")
    async with asyncio.timeout(60):
        while "step" not in await command.kinds():
            with contextlib.suppress(BlockingIOError):
                os.read(master, 65536)


async def ended(master: int, process: asyncio.subprocess.Process) -> int:
    """Somebody reads what it says at its end."""
    while process.returncode is None:
        with contextlib.suppress(BlockingIOError, OSError):
            os.read(master, 65536)
        await asyncio.sleep(0.05)
    return process.returncode
