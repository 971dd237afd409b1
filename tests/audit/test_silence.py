"""A console whose ledger hangs says so in every view, shows what needs no ledger, and takes it back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

import actions
from console.audit import silence
from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.config import Audit
from console.dispatch.registry import Registry
from console.errors import AuditUnavailable, Exit
from console.model.target import Environment
from console.tui import ledger_watch
from console.tui.app import ConsoleApp
from console.tui.widgets.bars import Bar, TabLine
from tests.audit.outage import outage
from tests.audit.sinks import PostgresSink, Sink
from tests.command import Command
from tests.servers.accounts import OPERATOR, PASSWORDS
from tests.tui.stage import Stage, proposed, shown, until

ON_SERVERS = pytest.mark.parametrize("sink", ["pg18", "mariadb", "mysql"], indirect=True)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Stage:
    made = Stage(tmp_path, monkeypatch, Environment.DEV)
    monkeypatch.setattr(ledger_watch, "EVERY_SECONDS", 0.5)
    monkeypatch.setenv("LEDGER_PASSWORD", PASSWORDS[OPERATOR])
    audit = Audit(url=sink.url, journal=str(sink.journal), password="env:LEDGER_PASSWORD")
    made.config = msgspec.structs.replace(made.config, audit=audit)
    made.app = ConsoleApp(made.config, Registry(actions.ALL), _library)
    return made


def _library() -> list[tuple[str, str]]:
    folder = Path(__file__).resolve().parents[2] / "runbooks"
    return [(path.name, path.read_text()) for path in sorted(folder.glob("lock-*.yaml"))]


def summary(stage: Stage) -> str:
    return str(stage.main.query_one("#runbooks-summary", Bar).render())


def marked(stage: Stage) -> bool:
    return "Audit(!)" in str(stage.main.query_one(TabLine).render()).replace(" ", "")


@ON_SERVERS
async def test_a_ledger_that_hangs_is_told_whatever_is_in_view(stage: Stage, sink: Sink) -> None:
    async with shown(stage) as pilot:
        assert not marked(stage)
        async with outage(sink, "stopped"):
            await until(pilot, lambda: "the audit ledger does not answer" in stage.status)
            assert "nothing can be executed" in stage.status
            assert marked(stage)
            await pilot.press("6")
            await until(pilot, lambda: "last runs not known" in summary(stage))
            assert stage.main.pane.drawn, "the library is no part of the ledger"
        await until(pilot, lambda: "the audit ledger answers again" in stage.status)
        assert not marked(stage)
        await until(pilot, lambda: "last runs not known" not in summary(stage))


@contextlib.asynccontextmanager
async def reading(sink: PostgresSink, ledger: Ledger) -> AsyncIterator[None]:
    """A read of the ledger is under way, and takes as long as this."""
    locker = await sink.server.connect(database=sink.database)
    await locker.execute(f"begin; lock table {sink.entry} in access exclusive mode")
    read = asyncio.create_task(ledger.entries(limit=1))
    try:
        await asyncio.sleep(0.1)
        yield
    finally:
        await locker.close()
        await read


async def test_a_read_of_ours_that_takes_long_is_no_silence(postgres_sink: PostgresSink) -> None:
    """And says as little of an answer: a console said that the ledger answers while its own read hung."""
    async with postgres_sink.open() as ledger:
        assert await ledger.answers()
        said: list[str] = []
        watch = ledger_watch.LedgerWatch(ledger, lambda: said.append(watch.silence))
        async with reading(postgres_sink, ledger):
            assert not await ledger.answers()
            watch.silence = "the audit ledger does not answer"
            assert not await watch.look()
        assert said == []
        assert await watch.look()
        assert said == [""]


@ON_SERVERS
async def test_who_waits_for_a_ledger_that_hangs_hears_of_it(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intent is refused when two deadlines are over, since the answer to the first may be lost alone."""
    monkeypatch.setattr(silence, "FIRST_SECONDS", 0.2)
    said: list[str] = []
    async with sink.open(deadline=1.0, tell=said.append) as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {})
        before = len(said)
        async with outage(sink, "stopped"):
            for asks in (partial(ledger.append, Kind.INTENT, uuid4(), {}), ledger.open_intents):
                with pytest.raises(AuditUnavailable):
                    await asks()
                assert said[before].startswith(f"the ledger {ledger.sink} has not answered for ")
                before = len(said)


async def test_a_process_that_was_stopped_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "FIRST_SECONDS", 0.2)
    said: list[str] = []
    quiet = silence.Silence("the ledger")
    with quiet.heard_by(said.append), quiet.awaited():
        await asyncio.sleep(0)
        time.sleep(1.5)  # as if by SIGSTOP: no timer of ours goes off meanwhile
        await asyncio.sleep(0.05)
        assert said == []
        await asyncio.sleep(0.4)
        assert said == ["the ledger has not answered for 0 s, or the disk of the journal; waiting"]
    await asyncio.sleep(0.3)
    assert len(said) == 1


async def test_a_command_says_what_it_waits_for(postgres_sink: PostgresSink, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORDS[OPERATOR])
    (tmp_path / "password").chmod(0o600)
    command = Command(tmp_path, {}, url=postgres_sink.url, password=f"file:{tmp_path}/password")
    async with outage(postgres_sink, "stopped"):
        done = await command.run("audit", "open")
    assert done.code == Exit.AUDIT, done
    assert "dbdeck: the ledger postgresql://" in done.err
    assert "has not answered for 2 s, or the disk of the journal; waiting" in done.err


@ON_SERVERS
async def test_an_action_says_that_the_ledger_is_silent(
    stage: Stage, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that it is running, recorded and sent, until it was refused."""
    monkeypatch.setattr(silence, "FIRST_SECONDS", 0.3)
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        await pilot.press(*"why")
        async with outage(sink, "stopped"):
            await pilot.press("enter")
            await until(pilot, lambda: "session.terminate: the ledger" in stage.status)
            assert "has not answered" in stage.status
