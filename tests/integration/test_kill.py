"""kill -9 at every turn of the event loop between intent and outcome: the record stays true."""

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

# The loop's turns are counted from the moment the intent is committed; the count is the killing point.
CHILD = """
import asyncio, os, signal, sys
from console.audit import ledger
from console.__main__ import main

stop = int(os.environ["KILL_AT"])
turns = None
append = ledger.Ledger.append
once = asyncio.SelectorEventLoop._run_once

async def counted(self, kind, *args, **options):
    global turns
    receipt = await append(self, kind, *args, **options)
    if kind == "intent":
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


async def terminate(command: Command, root: dict[str, Any], kill_at: int) -> tuple[int, str]:
    words = ["--config", str(command.config), "apply", "session.terminate", "-t", "t", "--json", "--yes"]
    words += ["--reason", "killed", f"id={root['id']}", f"started_at={root['started_at']}"]
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


async def turns_of_a_whole_run(command: Command, shop: Scene) -> int:
    await shop.chain(2)
    code, err = await terminate(command, await rooted(command), 0)
    assert code == 0, err
    return int(err.rpartition("turns=")[2])


async def rooted(command: Command) -> dict[str, Any]:
    for _ in range(50):
        rows = (await command.run("show", "locks", "-t", "t", "--json")).rows
        if rows:
            root: dict[str, Any] = rows[0]["session"]
            return root
        await asyncio.sleep(0.1)
    raise AssertionError("no lock queue")


@pytest.mark.timeout(300)
async def test_killed_anywhere_after_the_intent_the_ledger_tells_the_truth(
    shop: Scene, command: Command
) -> None:
    """How many turns a run takes differs from run to run: a point near its end may come too late."""
    turns = await turns_of_a_whole_run(command, shop)
    points = sorted({1, 2, *range(4, turns, max(1, turns // 5)), turns - 1})
    killed = 0
    for point in points:
        await shop.chain(2)
        root = await rooted(command)
        code, err = await terminate(command, root, point)
        if code == -signal.SIGKILL:
            killed += 1
            await check_record(command, root)
            continue
        assert code == 0, (point, turns, err)
        assert point > turns // 2, "the run ended long before it was to be killed"
        assert int(err.rpartition("turns=")[2]) < point
    assert killed >= len(points) // 2


async def check_record(command: Command, root: dict[str, Any]) -> None:
    verified = (await command.run("audit", "verify", "--json")).document
    assert verified["faults"] == []
    opened = (await command.run("audit", "open", "--json")).rows
    sessions = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    there = any(row["session"] == root for row in sessions)
    kinds = await command.kinds()
    if kinds[-1] == "outcome":
        assert opened == []
        assert not there
        return
    assert len(opened) == 1
    assert opened[0]["running"] is False
    frozen = await command.apply("session.terminate", root)
    assert frozen.code in (4, 6)
    settled = (await command.run("audit", "reconcile", "--json")).rows
    if not settled:
        # The outcome had reached the journal: the next writer delivered it to the table.
        assert "outcome" in (await command.kinds())[-2:]
        assert not there
        return
    assert settled[0]["state"] in (("not_applied", "undecidable") if there else ("applied", "not_applied"))
    if settled[0]["state"] == "applied":
        assert not there
    if kinds[-1] == "intent":
        assert settled[0]["state"] == "not_applied"
    if settled[0]["state"] != "undecidable":
        assert (await command.run("audit", "open", "--json")).rows == []
    if there:
        await end(command, root)


async def end(command: Command, root: dict[str, Any]) -> None:
    """Clear the scene for the next point."""
    done = await command.apply("session.terminate", root)
    assert done.code == 0, done
