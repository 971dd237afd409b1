"""What the running command gives away to the machine it runs on: nothing."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from console import hardening
from tests.command import Command
from tests.wire.rogue import greeting, rogue

HANGS = 30


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, {})


async def hanging(command: Command, port: int) -> asyncio.subprocess.Process:
    """It waits for a server that greets nobody."""
    command.write(
        {
            "audit": command.audit,
            "targets": {
                "t": {
                    "engine": "mysql",
                    "host": "127.0.0.1",
                    "port": port,
                    "tls": "off",
                    "monitor": {"user": "m", "password": "env:SECRET_OF_THE_TEST"},
                }
            },
        }
    )
    return await command.start("show", "locks", "-t", "t", env={"SECRET_OF_THE_TEST": "C4N4RY-secret"})


async def test_a_process_that_is_killed_leaves_no_core_and_lets_nobody_look_into_it(
    command: Command, tmp_path: Path
) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        entered.set()
        await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        process = await hanging(command, listening.sockets[0].getsockname()[1])
        await asyncio.wait_for(entered.wait(), 20)
        proc = Path(f"/proc/{process.pid}")
        limits = {line.split("  ")[0]: line.split() for line in (proc / "limits").read_text().splitlines()}
        assert limits["Max core file size"][4:6] == ["0", "0"]
        # Not dumpable: the kernel gives its files to root, whoever it runs as.
        assert (proc / "mem").stat().st_uid == 0
        assert "Umask:\t0077" in (proc / "status").read_text()
        assert b"C4N4RY" not in (proc / "cmdline").read_bytes()
        process.send_signal(signal.SIGQUIT)
        await process.communicate()
        await asyncio.wait_for(left.wait(), 20)
    assert list(tmp_path.rglob("core*")) == []


def test_what_a_process_starts_has_streams_where_the_caller_closed_them() -> None:
    """The first file that it opened would be its stderr."""
    script = (
        "import subprocess; from console.hardening import harden; harden();"
        "subprocess.run(['/bin/sh', '-c', 'readlink /proc/self/fd/0 /proc/self/fd/2'], check=True)"
    )
    line = f"{shlex.join([sys.executable, '-c', script])} <&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [os.devnull, os.devnull]


ANYBODY = 65534
LOOK = """
import sys
for one in ("mem", "environ", "maps"):
    try:
        open(f"/proc/{sys.argv[1]}/{one}", "rb").read(1)
        print("read", one)
    except OSError:
        print("refused", one)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("hardened", "said"), [(True, "refused"), (False, "read")])
async def test_another_program_of_the_same_user_cannot_read_its_memory(*, hardened: bool, said: str) -> None:
    """As a user who is not root; root may always look. Without it, it could: the test can fail."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python here that another user may run")
    source = Path(hardening.__file__).read_text()
    first = "harden()" if hardened else "pass"
    waits = f"{source}\n{first}\nprint('up', flush=True)\nimport time\ntime.sleep({HANGS})"
    victim = await as_anybody(python, "-c", waits)
    assert victim.stdout is not None
    assert await victim.stdout.readline() == b"up\n"
    spy = await as_anybody(python, "-c", LOOK, str(victim.pid))
    answer, _ = await spy.communicate()
    victim.kill()
    await victim.communicate()
    assert answer.decode().split("\n")[1:3] == [f"{said} environ", f"{said} maps"]


async def as_anybody(*argv: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        cwd="/",
        env={},
        user=ANYBODY,
        group=ANYBODY,
        extra_groups=[],
        stdout=asyncio.subprocess.PIPE,
    )


NO_ANSWERS = [b"\xfb/etc/passwd", b"\x05garbage", b"\xfe", b"", b"\x00", b"\x01\xff\xff"]


@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_a_server_that_answers_what_is_no_answer_gets_nothing(command: Command, answer: bytes) -> None:
    """\\xfb asks the client for a file of its own."""
    ok = b"\x00\x00\x00\x02\x00\x00\x00"
    async with rogue(greeting("mysql_native_password"), ok, answer) as server:
        process = await hanging(command, server.port)
        out, err = await process.communicate()
        await asyncio.sleep(0.1)  # a connection of its that nobody took yet
    said = (out + err).decode()
    assert process.returncode == 3, said
    assert "Traceback" not in said
    assert b"root:" not in server.received
