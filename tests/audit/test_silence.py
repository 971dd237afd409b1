"""A console whose ledger hangs says so in every view, shows what needs no ledger, and takes it back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import actions
from console.audit.ledger import Ledger
from console.config import Audit
from console.dispatch.registry import Registry
from console.model.target import Environment
from console.tui import ledger_watch
from console.tui.app import ConsoleApp
from console.tui.widgets.bars import Bar, TabLine
from tests.audit.outage import outage
from tests.audit.sinks import PostgresSink, Sink
from tests.servers.accounts import OPERATOR, PASSWORDS
from tests.tui.stage import Stage, shown, until

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
