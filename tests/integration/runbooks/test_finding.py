"""Runbooks on the command line: found by symptom and by what a server shows; notes; what is asked there."""

from __future__ import annotations

import pytest

from tests.cli.terminal import at_terminal
from tests.command import Command
from tests.running import START, end, rows_of, waiting
from tests.situations import Scene

pytestmark = pytest.mark.parametrize("server_name", ["pg18", "mysql"])


async def test_a_storm_suggests_its_runbook_and_a_quiet_server_none(shop: Scene, command: Command) -> None:
    quiet = await command.run("runbook", "list", "--suggest", "-t", "t", "--json")
    # A deadlock of another test on this server is told for a while.
    assert (quiet.code, {row["id"] for row in quiet.rows} - {"deadlocks"}) == (0, set()), quiet
    await shop.chain(4)
    await waiting(command, 4)
    found = await command.run("runbook", "list", "--suggest", "-t", "t", "--json")
    why = {
        row["id"]: row["why"] for row in found.rows
    }  # more than one, where who holds them is idle for long
    assert why["lock-storm"] == "3 sessions wait for locks, behind 1 at the root"
    assert await command.kinds() == []


async def test_words_of_a_symptom_find_a_runbook(shop: Scene, command: Command) -> None:
    found = await command.run("runbook", "list", "--symptom", "timeout exceeded wait", "--json")
    assert "lock-storm" in [row["id"] for row in found.rows]
    none = await command.run("runbook", "list", "--symptom", "flying saucers")
    assert (none.code, "no runbook has the words" in none.err) == (0, True)


async def test_a_note_is_kept_beside_a_run_that_ended(shop: Scene, command: Command) -> None:
    done = await command.run("runbook", "run", "lock-storm", *START)
    run = end(done)["run"]
    noted = await command.run("runbook", "note", run, "nobody waited: it was the network")
    assert noted.code == 0, noted
    assert (await rows_of(command, run))[-1]["text"] == "nobody waited: it was the network"
    unknown = await command.run("runbook", "note", "00000000-0000-4000-8000-000000000000", "x")
    assert unknown.code == 2


async def test_a_terminal_sees_the_exact_statement_before_it_is_asked(shop: Scene, command: Command) -> None:
    await shop.chain(2)
    await waiting(command, 2)
    with at_terminal(command, "runbook", "run", "lock-storm", "-t", "t", "--reason", "a test") as at:
        at.expect("would send:")
        at.expect("yes or no: ")
        at.type("no\n")
        _, shown = at.end()
    assert "stopped" in shown
    assert "intent" not in await command.kinds()
