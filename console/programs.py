"""Programs whose words we want: run without a shell, in a clean environment, heard as they speak, and ended
with all that they started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from console.errors import ActionFailed

TERM_SECONDS = 5.0
_LOOK_SECONDS = 0.02
KEPT_LINES = 40  # of what it complained, from the end
MOST = 64 << 20  # bytes of its answer
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LINE = 1 << 20


def _nobody(_: str) -> None:
    """Nobody listens."""


class Heard(NamedTuple):
    """`code` is its exit code, negative for a signal; None: it did not end in time and was killed. `answer`
    is what it wrote to stdout, `complaint` the last lines of stderr.
    """

    code: int | None
    answer: bytes
    complaint: str

    @property
    def how(self) -> str:
        if self.code is None:
            return "did not end in time and was killed"
        return f"was ended by signal {-self.code}" if self.code < 0 else f"ended with exit code {self.code}"

    @property
    def why(self) -> str:
        """In one line: how it ended, and the last it said."""
        last = next((line for line in reversed(self.complaint.splitlines()) if line.strip()), "")
        return f"{self.how}: {last}" if last else self.how


class Call(NamedTuple):
    """How a program is run. `stdin` and `stdout` are open files, where it reads and writes itself;
    `line` hears each line of its stderr, and of its stdout where that is not a file and `both` is set.
    `end` is the signal that ends it early. `options` are keywords of subprocess: the user it runs as.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = {}
    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None
    line: Callable[[str], None] = _nobody
    both: bool = False
    seconds: float | None = None
    end: int = signal.SIGTERM
    options: Mapping[str, Any] = {}


async def hear(call: Call) -> Heard:
    """Run it to its end. Cancelled, it is ended first, with its group. Raises ActionFailed where it could
    not be started.
    """
    process = await _start(call)
    try:
        async with asyncio.timeout(call.seconds):
            answer, complaint = await asyncio.gather(_answer(process, call), _complaint(process, call))
            code: int | None = await process.wait()
    except TimeoutError:
        await end(process, call.end)
        return Heard(None, b"", "")
    except BaseException:
        await asyncio.shield(end(process, call.end))
        raise
    return Heard(code, answer, complaint)


async def _start(call: Call) -> asyncio.subprocess.Process:
    """Cancelled, it is ended with its group as soon as it runs: asyncio itself would kill the program alone,
    and wait until all that it has started by then let go of its output.
    """
    starting = asyncio.ensure_future(_started(call))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.shield(_end_started(starting, call.end))
        raise


async def _end_started(starting: asyncio.Future[asyncio.subprocess.Process], first: int) -> None:
    with contextlib.suppress(ActionFailed):
        await end(await starting, first)


async def _started(call: Call) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *call.argv,
            stdin=call.stdin or asyncio.subprocess.DEVNULL,
            stdout=call.stdout or asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env={**clean_environment(), **call.env},
            start_new_session=True,
            limit=_LINE,
            **call.options,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ActionFailed(f"{call.argv[0]} could not be run: {why}") from None


async def _answer(process: asyncio.subprocess.Process, call: Call) -> bytes:
    if process.stdout is None:
        return b""
    if call.both:
        async for line in _lines(process.stdout):
            call.line(without_verifiers(line))
        return b""
    kept = bytearray()
    while block := await process.stdout.read(1 << 16):
        kept += block[: max(0, MOST - len(kept))]
    return bytes(kept)


async def _complaint(process: asyncio.subprocess.Process, call: Call) -> str:
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    if process.stderr is not None:
        async for raw in _lines(process.stderr):
            line = without_verifiers(raw)
            kept.append(line)
            call.line(line)
    return "\n".join(kept)


# mariadb-backup tells the grants of a login that lacks some, with the verifier of its password; a restore the
# statement that failed, of replication with the password of its source. A line has up to a million
# characters: no part of a pattern may begin at many places and end far away.
_VERIFIED = re.compile(
    r"\bIDENTIFIED\b.*"
    r"|PASSWORD(?!\"|(?<=-password)')"  # the name of an option ends in a quote, too
    r"(?:\s+FOR\b[^=]{0,400}=)?(?:\s*[=(])?\s*(?:E|U&)?['\"$].*",
    re.IGNORECASE,
)
# A quote that psql cut off has no end.
_QUOTED = re.compile(
    r"""'(?:[^'\\]|\\.|'')*(?:'|\\?$)|"(?:[^"\\]|\\.|"")*(?:"|\\?$)|\$(\w*)\$.*?(?:\$\1\$|$)|\b0x[0-9a-f]+""",
    re.IGNORECASE,
)
# In a connection string within a statement, whose quotes are doubled.
_DOUBLED = re.compile(r"(?<=password=)''(?:\\(?:''|.)|(?!'').)*(?:''|$)", re.IGNORECASE)
_WORD = re.compile(r"(password\s*=\s*)(?!<hidden>)(?:\\(?:''|.|$)|[^\s'\"\\])+", re.IGNORECASE)
_SHAPES = re.compile(
    r"SCRAM-SHA-256\$\S+|\*[0-9A-F]{40}\b|\bmd5[0-9a-f]{32}\b|\$A\$[0-9A-F]{3}\$\S+"
    r"|(?<=://)[^\s:/@]*:[^\s/]+(?=@)",
    re.IGNORECASE,
)


def without_verifiers(line: str) -> str:
    """What a program says goes into messages and the ledger: a statement that sets a password does not."""
    told = _DOUBLED.sub("<hidden>", line)
    told = _VERIFIED.sub(lambda found: _QUOTED.sub("<hidden>", found[0]), told)
    return _SHAPES.sub("<hidden>", _WORD.sub(r"\1<hidden>", told))


async def _lines(stream: asyncio.StreamReader) -> Any:
    """Each line as text; of one that is longer than any line, its parts."""
    rest = b""
    while block := await stream.read(1 << 16):
        *whole, rest = (rest + block).split(b"\n")
        if len(rest) > _LINE:
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace")


async def end(process: asyncio.subprocess.Process, first: int = signal.SIGTERM) -> None:
    """The program, and what it started that is still in its group. Nothing is heard of it any more, whoever
    else has its output open.
    """
    for number in (first, signal.SIGKILL):
        _signal(process, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TERM_SECONDS):
                await _gone(process)
        if process.returncode is not None:
            break
    # Its children may have outlived it; SIGKILL to the group finds them, or nobody.
    _signal(process, signal.SIGKILL)
    await _let_go(process)


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Its own `wait` also waits for whoever else has its output open, and for a pipe that nobody reads."""
    while process.returncode is None:  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(_LOOK_SECONDS)


async def _let_go(process: asyncio.subprocess.Process) -> None:
    """Close our ends of its pipes: what reads them would else be left behind, open."""
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
    await asyncio.sleep(0)  # asyncio closes them in its next round


def clean_environment() -> dict[str, str]:
    """Nothing of ours but who we are: our own may hold secrets, PGOPTIONS or LD_PRELOAD."""
    person = pwd.getpwuid(os.geteuid())
    kept = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": person.pw_dir, "USER": person.pw_name}
    return kept | ({"TMPDIR": os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {})
