"""restore-drill: backups are restored aside and compared; what fails is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.command import Command
from tests.integration.runbooks.backed_up import backed_up, take
from tests.running import START, end, killed_again_and_again
from tests.servers.fleet import Server

ROWS = ("create table things (id int primary key, note text)", "insert into things values (1, 'a'), (2, 'b')")


@pytest_asyncio.fixture
async def command(
    any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Command]:
    async with backed_up(any_server, tmp_path, monkeypatch, *ROWS) as made:
        yield made


@pytest_asyncio.fixture
async def command18(
    postgres18: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Command]:
    async with backed_up(postgres18, tmp_path, monkeypatch, *ROWS) as made:
        yield made


async def test_a_good_backup_is_proved_and_is_not_overdue_then(command: Command) -> None:
    await take(command)
    before = await command.kinds()
    planned = await command.run("runbook", "plan", "restore-drill", "-t", "t")
    assert (planned.code, await command.kinds()) == (0, before), planned
    assert "restore" in planned.out
    done = await command.run("runbook", "run", "restore-drill", *START, "--yes")
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert "PASS" in end(done)["text"]
    again = await command.run("runbook", "run", "restore-drill", *START, "--yes")
    assert (again.code, end(again)["effects"]) == (0, []), again
    assert "cadence" in end(again)["text"]


async def test_a_backup_that_is_damaged_is_an_escalation_that_says_why(
    command18: Command, tmp_path: Path
) -> None:
    await take(command18)
    (dump,) = (one for one in (tmp_path / "backups").iterdir() if one.is_dir())
    data = max((one for one in dump.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
    data.write_bytes(b"gone")
    done = await command18.run("runbook", "run", "restore-drill", "-p", "source=nightly", *START, "--yes")
    assert (done.code, end(done)["result"]) == (1, "escalate"), done
    assert "nightly" in end(done)["text"]


async def test_without_a_backup_it_says_so(command18: Command) -> None:
    planned = await command18.run("runbook", "plan", "restore-drill", "-t", "t")
    assert (planned.code, await command18.kinds()) == (0, []), planned
    done = await command18.run("runbook", "run", "restore-drill", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (1, "escalate", []), done
    assert "backup.take" in end(done)["text"]


async def test_a_drill_whose_runners_die_leaves_nothing_and_is_proved_by_one_that_lives(
    command18: Command,
) -> None:
    """It has more steps than any of these runners lives for."""
    await take(command18)
    done, _ = await killed_again_and_again(command18, "restore-drill", "source=nightly")
    if done.code != 0:
        assert end(done)["waiting"]["key"] == "drill_again", done
        done = await command18.run(
            "runbook", "resume", end(done)["run"], "--json", "--yes", "--decide", "drill_again=retry"
        )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
