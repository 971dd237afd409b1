"""kill -9 at turns of the event loop around a runbook's effect: it is gone on with, and never done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.command import Command
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene

# Counted from the moment that the action's step is recorded as begun, before its intent.
CHILD = """
import asyncio, os, signal, sys
from console.audit import ledger
from console.__main__ import main

stop = int(os.environ["KILL_AT"])
turns = None
append = ledger.Ledger.append
once = asyncio.SelectorEventLoop._run_once

async def counted(self, kind, action_id, body, **options):
    global turns
    receipt = await append(self, kind, action_id, body, **options)
    if kind == "run" and body["event"].get("acts"):
        turns = 0
    return receipt

def run_once(self):
    global turns
    once(self)
    if turns is not None:
        turns += 1
        if turns == stop:
            os.kill(os.getpid(), signal.SIGKILL)

ledger.Ledger.append = counted
asyncio.SelectorEventLoop._run_once = run_once
sys.argv[0] = "dbdeck"
code = main()
print(f"turns={turns}", file=sys.stderr)
sys.exit(code)
"""


@pytest_asyncio.fixture
async def shop(postgres18: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres18) as made:
        yield made


@pytest.fixture
def command(postgres18: PostgresServer, tmp_path: Path) -> Command:
    return Command(tmp_path, {"t": postgres18.target_dict()})


async def storm(command: Command, kill_at: int) -> tuple[int, str]:
    words = [
        "--config",
        str(command.config),
        "runbook",
        "run",
        "lock-storm",
        "-t",
        "t",
        "--yes",
        "--reason",
        "x",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        *words,
        env={**os.environ, "KILL_AT": str(kill_at)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )
    _, err = await process.communicate()
    return process.returncode or 0, err.decode()


async def queue(command: Command) -> list[dict[str, Any]]:
    return (await command.run("show", "locks", "-t", "t", "--json")).rows


async def brewing(command: Command, shop: Scene) -> None:
    await shop.chain(2)
    for _ in range(50):
        if await queue(command):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no lock queue")


async def gone_on(command: Command, run: str) -> int:
    """Resumed until it ends: looked for where its end is not known, tried again where it was not done."""
    code = -1
    for decision in ("settle", "retry", "settle", "retry"):
        done = await command.run("runbook", "resume", run, "--yes", "--decide", f"break={decision}")
        code = done.code
        if code == 0:
            break
    return code


@pytest.mark.timeout(300)
async def test_killed_anywhere_around_the_effect_the_run_goes_on_and_repeats_nothing(
    shop: Scene, command: Command
) -> None:
    await brewing(command, shop)
    code, err = await storm(command, 0)
    assert code == 0, err
    turns = int(err.rpartition("turns=")[2])
    killed = 0
    for point in sorted({1, 3, *range(5, turns, max(1, turns // 5))}):
        await brewing(command, shop)
        known = {row["run"] for row in (await command.run("runbook", "status", "--json")).rows}
        code, err = await storm(command, point)
        (run,) = {row["run"] for row in (await command.run("runbook", "status", "--json")).rows} - known
        if code != -signal.SIGKILL:
            continue
        killed += 1
        assert await gone_on(command, run) == 0, point
        assert await queue(command) == []
        rows = (await command.run("runbook", "status", run, "--json")).rows
        applied = [row for row in rows if row["event"] == "acted" and row["effect"] == "applied"]
        assert len(applied) <= 1
        assert (await command.run("audit", "open", "--json")).rows == []
    assert killed >= 4
    assert (await command.run("audit", "verify", "--json")).document["faults"] == []
