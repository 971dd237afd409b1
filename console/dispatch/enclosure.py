"""Where a restore drill happens: a private directory, programs that run fenced in, and a server on a socket.

Everything in it is recorded before it is done, as the rest of an action is; nothing in it outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from console import programs
from console.dispatch import fence
from console.dispatch.lease import Account, Lease, lease, reachable, tail, unprivileged
from console.engine.open import open_engine, open_operator
from console.engine.port import Engine, OperatorConnection, Row, Statement
from console.errors import ActionFailed, DbdeckError
from console.model.target import Target
from console.programs import Heard

Tell = Callable[[Sequence[str], float | None], Any]
START_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Kind(NamedTuple):
    """A server's files below the directory, the signal that ends it at once, and whom it may run as."""

    pid_file: str
    stop: str
    users: tuple[str, ...]


# Not the user of a server that may be alive on this machine: its files are not for a copy.
POSTGRES = Kind("data/postmaster.pid", "QUIT", ("nobody", "postgres"))
MYSQL = Kind("data/mysqld.pid", "TERM", ("nobody", "mysql"))
# MySQL takes SIGQUIT for a request to write everything down first.
_AT_ONCE = {"QUIT": signal.SIGQUIT, "TERM": signal.SIGKILL}


def _nobody(_: str) -> None:
    """Nobody listens."""


class Work(NamedTuple):
    """A program's run in it. `what` is said of it in the ledger beside its words.

    `ours`: run as ourselves, for what the server's user may not read. `online`: outside of the fence's
    closed network, for tools that fetch from elsewhere; never for a server. `reads`: it may read, and only
    read, what only we may: the backup, where we are root and its user is not. `account`: run as this one,
    for a tool that has a user of its own.
    """

    argv: Sequence[str]
    what: str
    env: Mapping[str, str] = {}
    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None
    line: Callable[[str], None] = _nobody
    both: bool = False
    seconds: float | None = None
    ours: bool = False
    online: bool = False
    reads: bool = False
    account: Account | None = None


class Enclosure:
    """Made by an Operator."""

    def __init__(self, held: Lease, tell: Tell, stack: AsyncExitStack, of: fence.Fence) -> None:
        self._held = held
        self._tell = tell
        self._stack = stack
        self._served: subprocess.Popen[bytes] | None = None
        self._doors: dict[tuple[str, str, str], OperatorConnection] = {}
        self._engines: dict[tuple[str, str, str], Engine] = {}
        self._fence = of
        self._copies: dict[Path, Path] = {}
        self.commands: list[str] = []

    @property
    def closed(self) -> bool:
        """Whether the kernel keeps its programs from the network."""
        return self._fence.closed

    @property
    def root(self) -> Path:
        return self._held.root

    @property
    def account(self) -> Account:
        return self._held.account

    def folder(self, name: str) -> Path:
        """A folder of the server's user below the directory: `data` is the server's."""
        return self._held.folder(name)

    def usable(self, binaries: Path) -> Path:
        """The folder of programs, or a copy of what it is in where the server's user cannot reach it."""
        if reachable(binaries, self.account):
            return binaries
        if binaries.parent not in self._copies:
            name = f"{len(self._copies)}-{binaries.parent.name}"
            self._copies[binaries.parent] = self._held.copy_program(binaries.parent, name)
        return self._copies[binaries.parent] / binaries.name

    def write(self, path: Path, text: str) -> Path:
        """A new file of the server's user, in a folder made by `folder`; never through a link."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                os.fchown(descriptor, self.account.uid, self.account.gid)
            file.write(text)
        return path

    def readable(self, path: Path) -> bool:
        """Can the server's user enter this folder, through all of its parents?"""
        return reachable(path, self.account)

    def way_out(self) -> Path | None:
        """The first link that leads out of it, but those of copied programs: a server would write there."""
        root = os.path.realpath(self.root)
        for place, names, files in os.walk(self.root):
            if place == str(self.root):
                names[:] = [one for one in names if one != "program"]
            for one in (Path(place) / name for name in (*names, *files)):
                if one.is_symlink() and not Path(os.path.realpath(one)).is_relative_to(root):
                    return one.relative_to(self.root)
        return None

    def hand_over(self, path: Path) -> None:
        """Everything below becomes the server's user's, without following a link."""
        if os.geteuid() != 0:
            return
        for folder, names, files in os.walk(path):
            for name in (*names, *files):
                os.chown(Path(folder) / name, self.account.uid, self.account.gid, follow_symlinks=False)
        os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    # ---- programs ---------------------------------------------------------------------------------

    async def run(self, work: Work) -> Heard:
        """Record it, and run it to its end. Raises ActionFailed where it was not run."""
        await self._record(work.argv, work.what, work.seconds)
        return await programs.hear(
            programs.Call(
                argv=[*self._before(work), *work.argv],
                env=self._environment(work.env),
                stdin=work.stdin,
                stdout=work.stdout,
                line=work.line,
                both=work.both,
                seconds=work.seconds,
                options={"umask": 0o077},
                end=signal.SIGKILL,
            )
        )

    def _before(self, work: Work) -> list[str]:
        own = Account(os.geteuid(), os.getegid()) if work.ours else self.account
        account = work.account or own
        of = self._fence._replace(closed=self.closed and not work.online)
        return fence.wrapped(account, of, reads=work.reads)

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The server's user has no home worth reading: no .pgpass, no .my.cnf, no psqlrc."""
        return {"HOME": str(self.root), "USER": "dbdeck", "TMPDIR": str(self.root), **given}

    async def _record(self, argv: Sequence[str], what: str, seconds: float | None) -> None:
        said = shlex.join(argv)
        self.commands.append(said)
        await self._tell([f"run {said}: {what}"], seconds)

    # ---- the server -------------------------------------------------------------------------------

    async def serve(
        self, argv: Sequence[str], what: str, *, log: Path, end: str, env: Mapping[str, str] = {}
    ) -> None:
        """Record it, and start the server as our child: it gets the signal `end` when we are gone.

        It may not answer yet when this returns. Raises ActionFailed where it could not be started.
        """
        await self._record(argv, what, None)
        # Without a wait, so that a cancellation finds it either not begun or known: asyncio, cancelled while
        # it starts a program, kills that alone, and not what it has started by then.
        self._served = self._launched(argv, log, end, self._environment(env))

    def _launched(
        self, argv: Sequence[str], log: Path, end: str, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - no shell
                [
                    *(fence.mute() if self.closed else ()),
                    *fence.wrapped(self.account, self._fence, end=end),
                    *argv,
                ],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd="/",
                env={**programs.clean_environment(), **env},
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise ActionFailed(f"{argv[0]} could not be run: {error.strerror}") from None
        finally:
            os.close(descriptor)

    @property
    def serving(self) -> bool:
        """Whether the server's process is there; not whether it answers."""
        return self._served is not None and self._served.poll() is None

    async def answering(self, target: Target, log: Path, seconds: float = START_SECONDS) -> None:
        """Wait until it answers. Raises ActionFailed with the end of its log where it does not."""
        last = "it did not answer in time"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), open_engine(target) as engine:
                while self.serving:
                    try:
                        await engine.identity()
                    except DbdeckError as error:
                        last = error.message
                        await asyncio.sleep(LOOK_SECONDS)
                    else:
                        return
        how = last if self.serving else "it ended"
        raise ActionFailed(
            f"the restored server does not answer: {how}\n{await asyncio.to_thread(tail, log)}"
        )

    async def stop(self, number: int = signal.SIGKILL) -> None:
        """End the server by a signal, and at once where it does not heed it: nothing of it is to be kept."""
        await self._hang_up()
        served, self._served = self._served, None
        if served is None or served.poll() is not None:
            return
        if number != signal.SIGKILL:
            for pid in _inner(served.pid) if self._fence.apart else [served.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            await _gone(served)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(served.pid, signal.SIGKILL)
        await _gone(served)

    # ---- its data ---------------------------------------------------------------------------------

    async def reading(self, target: Target) -> Engine:
        """The reads of a database of the restored server; closed with the enclosure."""
        key = (target.host, target.monitor.user, target.database)
        if key not in self._engines:
            self._engines[key] = await self._stack.enter_async_context(open_engine(target))
        return self._engines[key]

    async def execute(
        self, target: Target, statement: Statement, *, timeout: float | None = None
    ) -> list[Row]:
        """Record a statement, and run it on the restored server. Raises as `Operator.execute`."""
        await self._tell([f"{target.name}: {statement.shown}"], timeout)
        key = (target.host, target.operator.user if target.operator else "", target.database)
        if key not in self._doors:
            self._doors[key] = await self._stack.enter_async_context(open_operator(target))
        return await self._doors[key].run(statement, timeout=timeout)

    async def _hang_up(self) -> None:
        self._doors.clear()
        self._engines.clear()
        await self._stack.aclose()


async def _gone(served: subprocess.Popen[bytes]) -> None:
    """When it has ended, or has had its time to."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(programs.TERM_SECONDS):
            while served.poll() is None:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(LOOK_SECONDS)


def _inner(pid: int) -> list[int]:
    """The children of `unshare`, by our numbers: the server is one, whatever its own number is."""
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@asynccontextmanager
async def enclosure(kind: Kind, base: Path, tell: Tell, *, closed: bool) -> AsyncIterator[Enclosure]:
    """Gone with all its files and its server at the end of the block, and when we are killed.

    Raises Refused where it is to be closed to the network and the kernel does not do that.
    """
    account = unprivileged(kind.users)
    of = await fence.possible(account, closed=closed)
    held = await asyncio.to_thread(lease, kind.pid_file, "data", kind.stop, account, base)
    try:
        async with AsyncExitStack() as stack:
            made = Enclosure(held, tell, stack, of)
            await tell([f"make {held.root}, which is removed when the drill ends"], None)
            try:
                yield made
            finally:
                await asyncio.shield(asyncio.ensure_future(made.stop(_AT_ONCE[kind.stop])))
    finally:
        # A second Ctrl-C cancels our waiting, not the clean-up.
        await asyncio.shield(asyncio.ensure_future(held.close()))
