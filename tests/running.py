"""Runbooks by the command line: what a run printed, its rows, and a runner that is killed again and again."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.command import Command, Done

START: Final = ("-t", "t", "--reason", "a test", "--json")
# After how many rows of the ledger runners die, in turn. `DBDECK_DEATHS=7,1000` kills once, at the 7th, and
# the next one goes on to the end: with each number in turn that is every step.
DEATHS: Final = tuple(map(int, os.environ.get("DBDECK_DEATHS", "3,2,6,4,9,5,14").split(",")))
DEATHS_LOG: Final = "DBDECK_DEATHS_LOG"  # a file that gets a JSON line of each death
MOST_ROWS: Final = 150


def deaths(row: int) -> pytest.MarkDecorator:
    """The chain of deaths, and one death after this row, where one went wrong once."""
    return pytest.mark.parametrize("after", [DEATHS, (row, 1000)], ids=["chain", "one-death"])


# Killed right after so many rows of the ledger were written by this process, whatever they are.
_CHILD: Final = """
import os, signal, sys
from console.audit import ledger
from console.__main__ import main

left = int(os.environ["KILL_AT"])

def counted(write):
    async def counting(self, *args, **options):
        global left
        receipt = await write(self, *args, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return receipt
    return counting

ledger.Ledger.append = counted(ledger.Ledger.append)
ledger.Ledger.append_late = counted(ledger.Ledger.append_late)
sys.argv[0] = "dbdeck"
sys.exit(main())
"""


def documents(done: Done) -> list[dict[str, Any]]:
    """One a line."""
    return [json.loads(line) for line in done.out.splitlines()]


def on(*names: str) -> pytest.MarkDecorator:
    """Only on these of the servers, for what `any_server` is too much for."""
    return pytest.mark.parametrize("server_name", names, indirect=True)


async def plan(command: Command, runbook: str, *params: str) -> str:
    """The tree in words; asserts that it could be made and that the ledger got nothing of it."""
    words = [word for one in params for word in ("-p", one)]
    before = await command.kinds()
    done = await command.run("runbook", "plan", runbook, "-t", "t", *words)
    assert done.code == 0, done
    assert await command.kinds() == before
    return done.out


async def run(command: Command, runbook: str, *params: str, answers: Sequence[str] = ()) -> Done:
    """With `--yes`; `params` are NAME=VALUE, `answers` more words of the command line."""
    words = [word for one in params for word in ("-p", one)]
    return await command.run("runbook", "run", runbook, *words, *START, "--yes", *answers)


def end(done: Done) -> dict[str, Any]:
    """The document that concludes a run; of one that had ended before, its last event."""
    assert done.out, done
    found = documents(done)[-1]
    assert found["schema"] == "dbdeck/runbook-run/1" or found.get("event") == "ended", done
    return found


def result_of(rows: Sequence[dict[str, Any]]) -> str:
    """The result of a run by its events: a runner may have died right after it wrote the last one."""
    return str(rows[-1].get("result")) if rows[-1]["event"] == "ended" else ""


def happened(done: Done) -> list[tuple[str, str]]:
    return [(one["event"], one.get("step", "")) for one in documents(done) if "event" in one]


def with_documents(command: Command, *texts: str) -> Command:
    """The command knows these runbooks too; the config is written again."""
    folder = command.folder / "own"
    folder.mkdir()
    for n, text in enumerate(texts):
        (folder / f"own{n}.yaml").write_text(text)
    values = {"runbooks": {"folders": [str(folder)]}}
    text = command.config.read_text()
    command.config.write_text(text + json.dumps(values)[1:-1].replace('"runbooks":', "runbooks:") + "\n")
    return command


async def rows_of(command: Command, run: str) -> list[dict[str, Any]]:
    """Every event of a run, as the ledger has it."""
    return (await command.run("runbook", "status", run, "--json")).rows


async def waiting(command: Command, number: int) -> None:
    """Until so many sessions are in the wait graph."""
    for _ in range(40):
        if len((await command.run("show", "locks", "-t", "t", "--json")).rows) >= number:
            return
        await asyncio.sleep(0.25)
    raise AssertionError("the storm did not come")


async def killed_again_and_again(
    command: Command, runbook: str, *params: str, answers: Sequence[str] = (), after: Sequence[int] = DEATHS
) -> tuple[Done, list[dict[str, Any]]]:
    """Runs it and kills -9 each runner after a few rows of the ledger, until one ends the run or waits.

    `params` are NAME=VALUE; `answers` the words that every runner is given beside `--yes`, like
    ("--decide", "each=rest"); `after` how many rows each runner in turn may write. Returns how the last
    runner ended and all events of the run. Asserts that the ledger is whole, has no open intent, and that no
    step had its effect twice.
    """
    words = ["run", runbook, "-t", "t", *(word for one in params for word in ("-p", one))]
    for deaths in itertools.cycle(after):
        said = ("--reason", "a test", "--json", "--yes", *answers)
        done = await _dying(command, deaths, "runbook", *words, *said)
        if words[0] == "run":
            # One that died before it could print found its run in the ledger all the same.
            told = documents(done) or (await command.run("runbook", "status", "--json")).rows
            words = ["resume", told[0]["run"]]
        rows = await rows_of(command, words[1])
        assert len(rows) < MOST_ROWS, rows
        if done.code != -signal.SIGKILL:
            break
        _log(command, runbook, deaths, rows)
    await _nothing_is_left(command, rows)
    return done, rows


def _log(command: Command, runbook: str, row: int, rows: Sequence[dict[str, Any]]) -> None:
    """Where the run stood, for tests/dying.py."""
    if DEATHS_LOG in os.environ:
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" (")[0]
        last = rows[-1] if rows else {}
        engine = yaml.safe_load(command.config.read_text())["targets"]["t"]["engine"]
        told = {"test": test, "runbook": runbook, "engine": engine, "row": row,
                "event": last.get("event", ""), "step": last.get("step") or ""}  # fmt: skip
        with Path(os.environ[DEATHS_LOG]).open("a") as log:
            log.write(json.dumps(told) + "\n")


def ended(rows: Sequence[dict[str, Any]]) -> tuple[str, list[str]]:
    """How a run ended by its rows, and which steps had an effect: its last runner may have died after."""
    effects = [row["step"] for row in rows if row["event"] == "acted" and row["effect"] == "applied"]
    assert rows[-1]["event"] == "ended", rows[-1]
    return rows[-1]["result"], effects


async def _nothing_is_left(command: Command, rows: Sequence[dict[str, Any]]) -> None:
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True
    opened = (await command.run("audit", "open", "--json")).rows
    assert opened == [], (opened, rows)
    acted = [row for row in rows if row["event"] == "acted" and row["effect"] == "applied"]
    # What was done in part is gone on with; what was done as a whole is not done again.
    applied = [row["step"] for row in acted if row["state"] == "done"]
    assert len(applied) == len(set(applied)), applied


async def _dying(command: Command, deaths: int, *words: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, "--config", str(command.config), *words,
        env={**os.environ, "COLUMNS": "200", "KILL_AT": str(deaths)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return Done(code=process.returncode or 0, out=out.decode(), err=err.decode())
