"""Where a restored server stands: closed to the network, without rights, and gone with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from console.dispatch import fence
from console.dispatch.enclosure import POSTGRES, Work, enclosure
from console.dispatch.lease import sweep, unprivileged
from console.errors import ActionFailed


class Told:
    """What was recorded, in its order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def __call__(self, shown: Sequence[str], timeout: float | None) -> None:
        self.said += shown


async def no_record(shown: Sequence[str], timeout: float | None) -> None:
    raise ActionFailed("the step was not recorded and therefore not executed")


@pytest.fixture(autouse=True)
async def _needs_a_closed_network() -> None:
    why = await fence.objection(unprivileged())
    if why and os.environ.get("CI") != "true":
        pytest.skip(f"no network namespaces here: {why}")


async def test_it_is_gone_with_all_its_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
        (made.folder("data") / "file").write_text("data")
        root = made.root
        assert root.stat().st_mode & 0o007 == 0
    assert not root.exists()


async def test_its_programs_have_no_network_no_rights_and_no_root() -> None:
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
        heard = await made.run(Work(["/bin/cat", "/proc/net/route", "/proc/self/status"], "look"))
    said = heard.answer.decode()
    assert [line for line in said.splitlines() if line.startswith("eth")] == []
    fields = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    assert fields["Uid"].split()[1] != "0" or os.geteuid() != 0
    assert fields["NoNewPrivs"].strip() == "1"
    assert int(fields["CapEff"], 16) == 0 or os.geteuid() != 0


async def test_its_programs_reach_nobody() -> None:
    script = "import socket; socket.create_connection(('127.0.0.1', 1), 2)"
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
        heard = await made.run(Work(["/usr/bin/python3", "-c", script], "try"))
    assert heard.code != 0
    assert "unreachable" in heard.complaint.lower()


async def test_its_programs_leave_no_core() -> None:
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
        heard = await made.run(Work(["/bin/sh", "-c", "ulimit -c"], "look"))
    assert heard.answer.strip() == b"0"


async def test_each_program_is_recorded_before_it_runs() -> None:
    told = Told()
    async with enclosure(POSTGRES, Path("/tmp"), told, closed=True) as made:
        await made.run(Work(["/bin/true", "a b"], "for nothing"))
    assert told.said[-1] == "run /bin/true 'a b': for nothing"


async def test_what_is_not_recorded_does_not_run(tmp_path: Path) -> None:
    told = Told()
    async with enclosure(POSTGRES, Path("/tmp"), told, closed=True) as made:
        made._tell = no_record
        with pytest.raises(ActionFailed, match="not recorded"):
            await made.run(Work(["/bin/touch", str(tmp_path / "there")], "try"))
    assert not (tmp_path / "there").exists()


_DIES = """
import asyncio, sys
from pathlib import Path
from uuid import uuid4
from console.dispatch.enclosure import POSTGRES, Work, enclosure

async def record(shown, timeout): pass

async def main():
    async with enclosure(POSTGRES, Path("/tmp"), record, closed=True) as made:
        made.folder("data")
        print(made.root, flush=True)
        await made.run(Work(["/bin/sh", "-c", f"sleep {sys.argv[1]}"], "wait"))

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_killed_it_leaves_neither_a_folder_nor_a_program(number: signal.Signals) -> None:
    seconds = f"301.{os.getpid()}{number:d}"  # nobody else sleeps as long
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, seconds], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        root = Path(process.stdout.readline().strip())
        children = wait_for(lambda: sleeping(seconds))
        process.send_signal(number)
        process.wait(20)
    assert children
    wait_for(lambda: not root.exists() and not sleeping(seconds))


def sleeping(seconds: str) -> list[int]:
    """Processes that run this very sleep."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()]:
            found.append(int(entry.parent.name))
    return found


def wait_for(look: object, seconds: float = 20.0) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()  # type: ignore[operator]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s")


async def test_two_at_once_do_not_sweep_each_other() -> None:
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
        await asyncio.to_thread(sweep, Path("/tmp"))
        assert made.root.exists()


async def test_a_server_cannot_call_the_unix_socket_of_another(tmp_path: Path) -> None:
    """A network of its own does not keep it from files; and its children are no freer."""
    place = Path(tempfile.mkdtemp(prefix="called-", dir="/tmp"))
    listening = socket.socket(socket.AF_UNIX)
    try:
        place.chmod(0o755)
        listening.bind(str(place / "s"))
        (place / "s").chmod(0o777)
        listening.listen()
        script = f"import socket; socket.socket(socket.AF_UNIX).connect({str(place / 's')!r})"
        async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
            log = made.folder("run") / "log"
            argv = ["/usr/bin/env", "/usr/bin/python3", "-c", script]
            await made.serve(argv, "a server that calls", log=log, end="QUIT")
            until = time.monotonic() + 20
            while made.serving and time.monotonic() < until:
                await asyncio.sleep(0.05)
            assert "PermissionError" in log.read_text()
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    finally:
        listening.close()
        shutil.rmtree(place)


async def test_a_link_out_of_it_is_found_wherever_it_is() -> None:
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=True) as made:
        folder = made.folder("data") / "base"
        folder.mkdir()
        (folder / "within").symlink_to(made.root / "data")
        assert made.way_out() is None
        (folder / "16384").symlink_to("/tmp")
        assert made.way_out() == Path("data/base/16384")


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("rounds", range(1, 12))
async def test_a_server_that_is_cancelled_while_it_starts_leaves_nobody(rounds: int, apart: bool) -> None:
    """After so many rounds of the loop: asyncio kills what it starts alone, and not what that has started."""
    mark = f"300.{uuid4().int % 10**9:09}"
    async with enclosure(POSTGRES, Path("/tmp"), Told(), closed=False) as made:
        made._fence = fence.Fence(closed=False, apart=apart)
        log = made.folder("run") / "log"
        argv = ["/bin/sh", "-c", f"sleep {mark} & wait"]
        task = asyncio.create_task(made.serve(argv, "a server", log=log, end="QUIT"))
        for _ in range(rounds):
            await asyncio.sleep(0)
            time.sleep(0.02)  # it goes on while we do not
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(20):
                await task
    async with asyncio.timeout(20):
        while running(mark):
            await asyncio.sleep(0.05)


def running(mark: str) -> list[int]:
    """Processes with this word among theirs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found
