"""The connection of an action that needs none: what it acts on is a backup, not the target's server."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from console.engine.open import whoami
from console.engine.port import Need, Row, Statement
from console.errors import ActionFailed
from console.model.target import ServerIdentity


class Nowhere:
    """The port of an operator's connection, without a server. Its locks hold on this machine."""

    session_id = 0

    def __init__(self, folder: Path, identity: ServerIdentity) -> None:
        self._folder = folder
        self._identity = identity
        self._held: dict[str, int] = {}

    @property
    def user(self) -> str:
        return whoami()

    async def identity(self) -> ServerIdentity:
        return self._identity

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:  # noqa: ARG002 - the port
        raise ActionFailed(f"this action has no connection to a server; not executed: {statement.shown}")

    async def cancel(self) -> bool:
        return False

    def abandon(self) -> None:
        """There is nothing to drop."""

    async def missing(self, needs: Sequence[Need]) -> tuple[str, ...]:  # noqa: ARG002 - the port
        return ()

    async def hold(self, name: str) -> str | None:
        """By a lock on a file, which the kernel frees when we die."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 200).decode("utf-8", "replace")
            os.close(descriptor)
            return holder or "somebody on this machine"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{whoami()}, pid {os.getpid()}".encode(), 0)
        self._held[name] = descriptor
        return None

    async def let_go(self, name: str) -> None:
        descriptor = self._held.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


@asynccontextmanager
async def nowhere(folder: Path, identity: ServerIdentity) -> AsyncIterator[Nowhere]:
    made = Nowhere(folder, identity)
    try:
        yield made
    finally:
        made.close()
