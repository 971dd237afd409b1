"""The vault's master from a person at the terminal: asked only where it is needed and somebody is there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from console.cli import output
from console.cli.run import Interrupted
from console.errors import UsageError, VaultLocked, WrongMaster
from console.keyrings import current
from console.model.target import Target
from console.secrets import Secret, in_keyring

if TYPE_CHECKING:
    from console.vault.store import Vault

TRIES = 3
_TERMINAL = "/dev/tty"
_LOOK_SECONDS = 0.1


async def unlock_for(targets: Sequence[Target], *, store: bool = False) -> None:
    """Before these targets are connected to: a deadline of a read must not run while a person types.

    `store`: the vault is needed whatever the targets' passwords are.
    """
    logins = [login for target in targets for login in (target.monitor, target.operator) if login]
    await unlock(*(login.password for login in logins), *(["keyring:"] if store else []))


async def unlock(*references: str | None) -> None:
    """Ask for the master when one of the references is in the locked vault and there is a terminal.

    Without a terminal nothing happens: who reads the reference raises VaultLocked. Raises WrongMaster
    after three tries, and Interrupted.
    """
    pinned = current()
    if pinned is None or pinned.vault is None or not any(in_keyring(one) for one in references):
        return
    if interactive() and await asyncio.to_thread(_must_ask, pinned.vault):
        await ask_master(pinned.vault)


def _must_ask(vault: Vault) -> bool:
    """Raises WrongMaster for a master that was given and is none."""
    if not vault.exists():
        return False
    try:
        vault.check()
    except WrongMaster:
        raise
    except VaultLocked:
        return True
    return False


async def ask_master(vault: Vault, generation: int | None = None) -> None:
    """Raises WrongMaster after the last try."""
    of = f"generation {generation} of the vault" if generation else "the vault"
    for left in range(TRIES - 1, -1, -1):
        master = await ask(f"master of {of} {vault.path}: ")
        try:
            await asyncio.to_thread(vault.unlock, master, generation)
        except WrongMaster as error:
            if not left:
                raise
            output.complaint(WrongMaster(error.message))
        else:
            return


async def ask_twice(what: str) -> Secret:
    """Raises UsageError when the two differ, or are empty."""
    first = await ask(f"{what}: ")
    if first == Secret(""):
        raise UsageError("nothing was typed; nothing was stored")
    if await ask(f"{what}, again: ") != first:
        raise UsageError("the two are not the same; nothing was stored")
    return first


def interactive() -> bool:
    """A person is at the other end: of stdin or stderr at least, and we are in the foreground."""
    if not any(one.isatty() for one in (sys.stdin, sys.stderr)):
        return False
    try:
        with _terminal() as terminal:
            return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


async def ask(prompt: str) -> Secret:
    """A line from the terminal, without echo. Raises Interrupted for Ctrl-C, and UsageError for its end."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_read_line, prompt, stop)
    except asyncio.CancelledError:
        stop.set()
        raise


async def ask_line(prompt: str) -> str:
    """A line from the terminal, shown as it is typed. Raises as `ask`."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_read_shown, prompt, stop)
    except asyncio.CancelledError:
        stop.set()
        raise


@contextlib.contextmanager
def _terminal() -> Iterator[int]:
    terminal = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield terminal
    finally:
        os.close(terminal)


def _read_line(prompt: str, stop: threading.Event) -> Secret:
    with _terminal() as terminal, _silent(terminal):
        os.write(terminal, prompt.encode())
        typed = bytearray()
        while not stop.is_set():
            if select.select([terminal], [], [], _LOOK_SECONDS)[0] and _typed(typed, os.read(terminal, 1024)):
                break
        os.write(terminal, b"\n")
        return Secret(typed.decode("utf-8", "replace"))


def _read_shown(prompt: str, stop: threading.Event) -> str:
    """The terminal edits the line; Ctrl-C is a signal, which the loop has while this thread waits."""
    with _terminal() as terminal:
        os.write(terminal, prompt.encode())
        typed = b""
        while not stop.is_set() and not typed.endswith(b"\n"):
            if not select.select([terminal], [], [], _LOOK_SECONDS)[0]:
                continue
            part = os.read(terminal, 4096)
            if not part:
                raise UsageError("the input ended before anything was typed; nothing was done")
            typed += part
        return typed.decode("utf-8", "replace").strip()


@contextlib.contextmanager
def _silent(terminal: int) -> Iterator[None]:
    """No echo; and keys instead of signals, which the event loop would keep from a thread that reads."""
    before = termios.tcgetattr(terminal)
    now: list[Any] = [*before]
    now[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(terminal, termios.TCSAFLUSH, now)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def _typed(line: bytearray, keys: bytes) -> bool:
    """Whether the line has ended. Backspace takes a character, Ctrl-U all of them."""
    for key in keys:
        match key:
            case 0x0A | 0x0D:
                return True
            case 0x03:
                raise Interrupted(signal.SIGINT)
            case 0x04 if not line:
                raise UsageError("the input ended before anything was typed; nothing was done")
            case 0x7F | 0x08:
                line[:] = line.decode("utf-8", "replace")[:-1].encode()
            case 0x15:
                line.clear()
            case _ if key >= 0x20:
                line.append(key)
    return False
