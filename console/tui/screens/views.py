"""The views of a target: which there are, on which key, and what each reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from console.audit.effects import Told
from console.audit.record import Entry
from console.backups.board import Past, read_backups, read_drills
from console.config import Thresholds
from console.dispatch.drift import Sentinel
from console.engine.drain_board import Actions, drain_board
from console.engine.port import Engine
from console.engine.replicas import index_health
from console.model.accounts import Accounts
from console.model.backup_board import BackupBoard, DrillBoard
from console.model.backups import TargetDrills
from console.model.drain_board import DrainBoard
from console.model.jobs import Job
from console.model.overview import Standing
from console.model.rotation import Rule
from console.model.target import EngineKind
from console.present.runbooks import Shelf
from console.runbook.history import Recalled
from console.secret_store import SecretStore
from console.tui.panes.accounts import AccountsPane
from console.tui.panes.audit import AuditPane
from console.tui.panes.backups import BackupsPane
from console.tui.panes.deadlocks import DeadlocksPane
from console.tui.panes.drain import DrainPane
from console.tui.panes.drills import DrillsPane, TrendsPane
from console.tui.panes.effects import EffectsPane
from console.tui.panes.horizon import HorizonPane
from console.tui.panes.indexes import IndexesPane
from console.tui.panes.jobs import JobsPane
from console.tui.panes.locks import LocksPane
from console.tui.panes.overview import OverviewPane
from console.tui.panes.pane import Pane
from console.tui.panes.progress import ProgressPane
from console.tui.panes.runbooks import RunbooksPane
from console.tui.panes.runs import RunsPane
from console.tui.panes.tables import TablesPane
from console.tui.panes.transactions import TransactionsPane
from console.tui.widgets.bars import Tab

TABS = (
    Tab("0", "overview", "Overview"),
    Tab("1", "locks", "Locks"),
    Tab("1", "deadlocks", "Deadlocks"),
    Tab("2", "transactions", "Transactions"),
    Tab("2", "horizon", "Horizon"),
    Tab("3", "tables", "Tables"),
    Tab("3", "indexes", "Indexes"),
    Tab("3", "progress", "Progress"),
    Tab("4", "accounts", "Accounts"),
    Tab("4", "drain", "Drain"),
    Tab("5", "backups", "Backups"),
    Tab("5", "drills", "Drills"),
    Tab("5", "trends", "Trends"),
    Tab("6", "runbooks", "Runbooks"),
    Tab("6", "runs", "Runs"),
    Tab("6", "jobs", "Jobs"),
    Tab("9", "audit", "Audit"),
    Tab("9", "effects", "Effects"),
)
BY_KEY = {tab.key: tab for tab in reversed(TABS)}
LEDGER_SECONDS = 5.0
SLOW_SECONDS = 5.0  # between polls of what changes slowly, or only keeps watch
TABLES_SECONDS = 10.0  # catalogs and counters of all tables


def shown_keys(keymap: Mapping[str, str]) -> dict[str, str]:
    """What the line of tabs shows for the key of a group, where the config gave it another one."""
    found = {key: keymap.get(f"pane.{tab.name}", "").split(",")[0].strip() for key, tab in BY_KEY.items()}
    return {key: shown for key, shown in found.items() if shown}


def titles(key: str) -> str:
    return " / ".join(tab.title for tab in TABS if tab.key == key)


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What the panes read and ask."""

    overview: Callable[[], Awaitable[Sequence[Standing]]]
    engine: Engine
    replicas: Sequence[Engine]
    ledger: Callable[[], Awaitable[list[Entry]]]
    effects: Callable[[], Awaitable[Sequence[Told]]]
    refusal: Callable[[str], str]
    thresholds: Thresholds
    rotation: Rule
    store: Callable[[], SecretStore | None]
    actions: Actions
    sentinel: Sentinel
    past: Past
    backups: Mapping[str, TargetDrills]
    shelf: Callable[[], Awaitable[Shelf]]
    runs: Callable[[], Awaitable[Sequence[Recalled]]]
    live: Callable[[], Mapping[str, str]]
    jobs: Callable[[], Awaitable[Sequence[Job]]]
    start_refusal: Callable[[], str]

    async def drain(self) -> DrainBoard:
        return await drain_board(self.engine, self.store(), self.actions)

    async def kept_backups(self) -> BackupBoard:
        return await read_backups(self.engine.target, self.past)

    async def drills(self) -> DrillBoard:
        return await read_drills(self.engine.target, self.backups, self.past)

    async def accounts(self) -> Accounts:
        return await self.sentinel.judge(await self.engine.accounts(), self.rotation)


def panes(of: Sources) -> Iterator[Pane[Any, Any]]:
    """In the order of the tabs. A pane gets a callable, never an engine."""
    engine, refusal, every = of.engine, of.refusal, of.thresholds.refresh
    slow, slower = max(every, SLOW_SECONDS), max(every, TABLES_SECONDS)
    yield OverviewPane(of.overview, every=every)
    yield LocksPane(engine.locks, every=every, refusal=refusal, storm=of.thresholds.storm_waiters)
    yield DeadlocksPane(engine.deadlocks, every=slow)
    limits = engine.target.engine is EngineKind.POSTGRES
    yield TransactionsPane(engine.transactions, every=every, refusal=refusal, limits=limits)
    yield HorizonPane(engine.horizon, every=slow, refusal=refusal)
    yield TablesPane(engine.tables, every=slower, refusal=refusal)
    yield IndexesPane(partial(index_health, engine, of.replicas), every=slower, refusal=refusal)
    yield ProgressPane(engine.progress, every=every, refusal=refusal)
    yield AccountsPane(of.accounts, every=slower, refusal=refusal, renew=of.sentinel.again)
    yield DrainPane(of.drain, every=slower, refusal=refusal, target=engine.target.name)
    yield BackupsPane(of.kept_backups, every=slower, refusal=refusal)
    yield DrillsPane(of.drills, every=slower, refusal=refusal)
    yield TrendsPane(of.drills, every=slower, refusal=refusal)
    yield RunbooksPane(of.shelf, every=LEDGER_SECONDS, refusal=of.start_refusal)
    yield RunsPane(of.runs, every=LEDGER_SECONDS, live=of.live)
    yield JobsPane(of.jobs, every=every)
    yield AuditPane(of.ledger, every=LEDGER_SECONDS)
    yield EffectsPane(of.effects, every=slower, target=engine.target.name)
