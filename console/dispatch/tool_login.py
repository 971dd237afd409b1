"""How a client of PostgreSQL that we run gets in: by a file that only it can read, and that is nowhere.

A password is never among its words or in its environment.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from console.model import pgpass
from console.model.login import Login
from console.model.sessions import APPLICATION
from console.model.target import Target, TlsMode
from console.secrets import Secret, resolve


class Way(NamedTuple):
    """For `programs.Call`: its environment and its options."""

    env: Mapping[str, str]
    options: Mapping[str, Any]


@asynccontextmanager
async def libpq_login(target: Target, login: Login) -> AsyncIterator[Way]:
    """A PGPASSFILE in memory, gone with the block however it ends. Raises ConfigError for a bad reference.

    Without a password in the config, the person's own .pgpass decides.
    """
    env = {"PGAPPNAME": f"{APPLICATION} backup", **_tls(target)}
    if login.password is None:
        own = os.environ.get("PGPASSFILE")
        yield Way(env | ({"PGPASSFILE": own} if own else {}), {})
        return
    secret = await asyncio.to_thread(resolve, login.password)
    descriptor = _in_memory()
    try:
        _write(descriptor, login.user, secret)
        yield Way(env | {"PGPASSFILE": f"/dev/fd/{descriptor}"}, {"pass_fds": (descriptor,)})
    finally:
        os.close(descriptor)


def _in_memory() -> int:
    """libpq takes a regular file of mode 0600 (passwordFromFile in fe-connect.c), by its name."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pgpass", os.MFD_CLOEXEC)
        os.fchmod(descriptor, 0o600)
        return descriptor
    descriptor, name = tempfile.mkstemp(prefix="dbdeck-")
    os.unlink(name)  # noqa: PTH108 - a descriptor's name
    return descriptor


def _write(descriptor: int, user: str, secret: Secret) -> None:
    key = pgpass.Key(pgpass.ANY, pgpass.ANY, pgpass.ANY, user)
    os.write(descriptor, pgpass.with_password("", key, secret.reveal()).encode())


def _tls(target: Target) -> dict[str, str]:
    """As our own connections are: the system's authorities unless the config names a file."""
    if target.local or target.tls is TlsMode.OFF:
        return {"PGSSLMODE": "disable"}
    found = {"PGSSLMODE": str(target.tls)}
    if target.tls is TlsMode.REQUIRE:
        # A root.crt in somebody's home would turn it into verify-ca.
        return found | {"PGSSLROOTCERT": "/nonexistent"}
    paths = ssl.get_default_verify_paths()
    return found | {"PGSSLROOTCERT": target.ca or paths.cafile or paths.openssl_cafile}
