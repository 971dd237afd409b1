"""How a client that we run gets in: by a file that only it can read, and that is nowhere.

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

from console.model import option_file, pgpass
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


class Entrance(NamedTuple):
    """`words` come right after the program's name; `options` are for `programs.Call`."""

    words: tuple[str, ...]
    options: Mapping[str, Any]


@asynccontextmanager
async def mysql_login(login: Login) -> AsyncIterator[Entrance]:
    """An option file in memory, the only one that is read. Raises ConfigError for a bad reference.

    Without a password in the config, the person's own ~/.my.cnf decides.
    """
    if login.password is None:
        yield Entrance((), {})
        return
    secret = await asyncio.to_thread(resolve, login.password)
    descriptor = _in_memory()
    try:
        text = option_file.with_password("", "client", login.user, secret.reveal())
        os.write(descriptor, text.encode())
        yield Entrance((f"--defaults-file=/dev/fd/{descriptor}",), {"pass_fds": (descriptor,)})
    finally:
        os.close(descriptor)


def mysql_tls(target: Target, flavor: str) -> tuple[str, ...]:
    """As our own connections are. MySQL manual 6.2.3 "--ssl-mode"; MariaDB knows only whether it verifies."""
    if target.local:
        return ()
    if target.tls is TlsMode.OFF:
        return ("--skip-ssl",) if flavor == "mariadb" else ("--ssl-mode=DISABLED", "--get-server-public-key")
    authority = (f"--ssl-ca={target.ca}",) if target.ca else ()
    if flavor == "mariadb":
        verify = (
            "--ssl-verify-server-cert"
            if target.tls is not TlsMode.REQUIRE
            else "--skip-ssl-verify-server-cert"
        )
        return ("--ssl", verify, *authority)
    mode = {TlsMode.REQUIRE: "REQUIRED", TlsMode.VERIFY_CA: "VERIFY_CA"}.get(target.tls, "VERIFY_IDENTITY")
    system = () if authority or target.tls is TlsMode.REQUIRE else (f"--ssl-ca={_authorities()}",)
    return (f"--ssl-mode={mode}", *authority, *system)


def _authorities() -> str:
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.openssl_cafile


def _tls(target: Target) -> dict[str, str]:
    """As our own connections are: the system's authorities unless the config names a file."""
    if target.local or target.tls is TlsMode.OFF:
        return {"PGSSLMODE": "disable"}
    found = {"PGSSLMODE": str(target.tls)}
    if target.tls is TlsMode.REQUIRE:
        # A root.crt in somebody's home would turn it into verify-ca.
        return found | {"PGSSLROOTCERT": "/nonexistent"}
    return found | {"PGSSLROOTCERT": target.ca or _authorities()}
