"""A program of the operator's, run without a shell, in a clean environment, within a time, and heard briefly.

A secret goes in by its standard input alone, as one line. What the program says is kept to its beginning,
and the secret is masked in it, as it is and as it is commonly written down.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pwd
import shlex
import signal
import stat
import urllib.parse
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from console.errors import ActionFailed
from console.secrets import Secret

HEARD = 16 << 10  # bytes of its output that are kept
TERM_SECONDS = 2.0
KILL_SECONDS = 5.0
DRAIN_SECONDS = 0.5
LOOK_SECONDS = 0.02
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MASK = "***"


class Ended(NamedTuple):
    """`code` is its exit code, negative for a signal; None: it did not end in time and was killed."""

    code: int | None
    output: str

    @property
    def how(self) -> str:
        if self.code is None:
            return "did not end in time and was killed"
        return f"was ended by signal {-self.code}" if self.code < 0 else f"ended with exit code {self.code}"


def unfit(argv: Sequence[str]) -> tuple[str, str]:
    """(Why the program cannot be given a secret, what mends that); empty where it can."""
    program = _program(argv)
    try:
        found = program.stat()
    except OSError as error:
        return f"{program}: {error.strerror}", ""
    quoted = shlex.quote(str(program))
    if not stat.S_ISREG(found.st_mode):
        return f"{program} is no program", ""
    if not os.access(program, os.X_OK):
        return f"{program} may not be executed", f"chmod u+x {quoted}"
    if found.st_mode & 0o022:
        return f"others may write {program}, which is to be given a secret", f"chmod go-w {quoted}"
    return "", ""


def _program(argv: Sequence[str]) -> Path:
    return Path(argv[0]).expanduser()


async def run_program(argv: Sequence[str], *, stdin: Secret | None, seconds: float) -> Ended:
    """Raises ActionFailed where it could not be started."""
    heard = bytearray()
    async with _hearing(heard) as (output, all_said):
        try:
            process = await _start(argv, output, speaks=stdin is not None)
        finally:
            os.close(output)
        try:
            async with asyncio.timeout(seconds):
                await _say(process, stdin)
                code: int | None = await _ended(process)
        except TimeoutError:
            code = None
        finally:
            _hush(process)
            if process.returncode is None:
                await _end(process)
            # Its children may hold its output open for as long as they like.
            await asyncio.wait([all_said], timeout=DRAIN_SECONDS)
    return Ended(code, masked(bytes(heard), stdin))


async def _start(argv: Sequence[str], output: int, *, speaks: bool) -> asyncio.subprocess.Process:
    """Cancelled, it is ended with its group as soon as it runs: asyncio would kill the program alone."""
    starting = asyncio.ensure_future(_started(argv, output, speaks=speaks))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.shield(_end_started(starting))
        raise


async def _end_started(starting: asyncio.Future[asyncio.subprocess.Process]) -> None:
    with contextlib.suppress(ActionFailed):
        process = await starting
        await _end(process)
        if process.stdin is not None:
            process.stdin.transport.abort()


async def _started(argv: Sequence[str], output: int, *, speaks: bool) -> asyncio.subprocess.Process:
    program = str(_program(argv))
    try:
        return await asyncio.create_subprocess_exec(
            program,
            *argv[1:],
            stdin=asyncio.subprocess.PIPE if speaks else asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment(),
            start_new_session=True,  # so that what it started is killed with it
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ActionFailed(f"{program} could not be run: {why}") from None


class _Listener(asyncio.Protocol):
    """Takes all that is said, so that nobody waits for us; kept is the beginning."""

    def __init__(self, heard: bytearray, all_said: asyncio.Future[None]) -> None:
        self._heard = heard
        self._all_said = all_said

    def data_received(self, data: bytes) -> None:
        self._heard += data[: max(0, HEARD + 1 - len(self._heard))]

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        if not self._all_said.done():
            self._all_said.set_result(None)


@asynccontextmanager
async def _hearing(heard: bytearray) -> AsyncIterator[tuple[int, asyncio.Future[None]]]:
    """(The end to write to, for the program; what is done when it and its children have closed it.)"""
    loop = asyncio.get_running_loop()
    ours, theirs = os.pipe()
    all_said: asyncio.Future[None] = loop.create_future()
    try:
        transport, _ = await loop.connect_read_pipe(
            lambda: _Listener(heard, all_said), os.fdopen(ours, "rb", buffering=0)
        )
    except BaseException:
        os.close(theirs)
        raise
    try:
        yield theirs, all_said
    finally:
        transport.close()


def environment() -> dict[str, str]:
    """Nothing of ours but who we are: what runs dbdeck may hold secrets in its own."""
    person = pwd.getpwuid(os.geteuid())
    return {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": person.pw_dir, "USER": person.pw_name,
            "LOGNAME": person.pw_name}  # fmt: skip


def _hush(process: asyncio.subprocess.Process) -> None:
    """What it has not read by now it need not read."""
    if process.stdin is not None and process.stdin.transport.get_write_buffer_size():
        process.stdin.transport.abort()


async def _ended(process: asyncio.subprocess.Process) -> int:
    """Its exit code. Its own `wait` also waits for whoever else has its output open."""
    while process.returncode is None:  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(LOOK_SECONDS)
    return process.returncode


async def _say(process: asyncio.subprocess.Process, secret: Secret | None) -> None:
    """A program that does not listen is judged by its exit code."""
    if process.stdin is None or secret is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(f"{secret.reveal()}\n".encode())
        await process.stdin.drain()
    process.stdin.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """The program, and what it started that is still in its group."""
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _ended(process)


def masked(heard: bytes, secret: Secret | None) -> str:
    """As text, with the secret's usual forms masked. A cut may be within one: its end goes, too."""
    text = heard[:HEARD].decode("utf-8", "replace")
    forms = _forms(secret.reveal()) if secret is not None else []
    for form in forms:
        text = text.replace(form, _MASK)
    if len(heard) > HEARD:
        text = text[: max(0, len(text) - max(map(len, forms), default=0))] + "…"
    return text


def _forms(value: str) -> list[str]:
    """The longest first: one may hold another."""
    data = value.encode()
    coded = {base64.b64encode(one).decode().rstrip("=") for one in (data, data + b"\n")}
    coded |= {base64.urlsafe_b64encode(one).decode().rstrip("=") for one in (data, data + b"\n")}
    forms = {
        value,
        data.hex(),
        json.dumps(value)[1:-1],
        shlex.quote(value),
        urllib.parse.quote(value, safe=""),
    }
    return sorted((one for one in forms | coded if one), key=len, reverse=True)
