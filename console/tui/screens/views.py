"""The views of a target: which there are, on which key, and what each reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from console.tui.widgets.bars import Tab

if TYPE_CHECKING:
    from console.audit.effects import Told
    from console.audit.record import Entry
    from console.backups.board import Past
    from console.config import Thresholds
    from console.dispatch.drift import Sentinel
    from console.engine.drain_board import Actions
    from console.engine.port import Engine
    from console.model.accounts import Accounts
    from console.model.backup_board import BackupBoard, DrillBoard
    from console.model.backups import TargetDrills
    from console.model.drain_board import DrainBoard
    from console.model.jobs import Job
    from console.model.overview import Standing
    from console.model.rotation import Rule
    from console.present.runbooks import Shelf
    from console.runbook.history import Recalled
    from console.secret_store import SecretStore
    from console.tui.panes.pane import Pane

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
    sentinel: Callable[[], Sentinel]
    past: Past
    backups: Mapping[str, TargetDrills]
    shelf: Callable[[], Awaitable[Shelf]]
    runs: Callable[[], Awaitable[Sequence[Recalled]]]
    live: Callable[[], Mapping[str, str]]
    jobs: Callable[[], Awaitable[Sequence[Job]]]
    start_refusal: Callable[[], str]

    async def drain(self) -> DrainBoard:
        from console.engine.drain_board import drain_board

        return await drain_board(self.engine, self.store(), self.actions)

    async def kept_backups(self) -> BackupBoard:
        from console.backups.board import read_backups

        return await read_backups(self.engine.target, self.past)

    async def drills(self) -> DrillBoard:
        from console.backups.board import read_drills

        return await read_drills(self.engine.target, self.backups, self.past)

    async def accounts(self) -> Accounts:
        return await self.sentinel().judge(await self.engine.accounts(), self.rotation)


def pane(name: str, of: Sources) -> Pane[Any, Any]:
    """The pane of a tab. It gets a callable, never an engine. Raises KeyError for a name that is no tab's."""
    return _MADE[name](of)


def _every(of: Sources, least: float = 0.0) -> float:
    return max(of.thresholds.refresh, least)


def _overview(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.overview import OverviewPane

    return OverviewPane(of.overview, every=_every(of))


def _locks(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.locks import LocksPane

    storm = of.thresholds.storm_waiters
    return LocksPane(of.engine.locks, every=_every(of), refusal=of.refusal, storm=storm)


def _deadlocks(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.deadlocks import DeadlocksPane

    return DeadlocksPane(of.engine.deadlocks, every=_every(of, SLOW_SECONDS))


def _transactions(of: Sources) -> Pane[Any, Any]:
    from console.model.target import EngineKind
    from console.tui.panes.transactions import TransactionsPane

    limits = of.engine.target.engine is EngineKind.POSTGRES
    return TransactionsPane(of.engine.transactions, every=_every(of), refusal=of.refusal, limits=limits)


def _horizon(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.horizon import HorizonPane

    return HorizonPane(of.engine.horizon, every=_every(of, SLOW_SECONDS), refusal=of.refusal)


def _tables(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.tables import TablesPane

    return TablesPane(of.engine.tables, every=_every(of, TABLES_SECONDS), refusal=of.refusal)


def _indexes(of: Sources) -> Pane[Any, Any]:
    from console.engine.replicas import index_health
    from console.model.target import EngineKind
    from console.tui.panes.indexes import IndexesPane

    read = partial(index_health, of.engine, of.replicas)
    apart = of.engine.target.engine is EngineKind.POSTGRES
    return IndexesPane(read, every=_every(of, TABLES_SECONDS), refusal=of.refusal, apart=apart)


def _progress(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.progress import ProgressPane

    return ProgressPane(of.engine.progress, every=_every(of), refusal=of.refusal)


def _accounts(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.accounts import AccountsPane

    every = _every(of, TABLES_SECONDS)
    return AccountsPane(of.accounts, every=every, refusal=of.refusal, renew=lambda: of.sentinel().again())


def _drain(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.drain import DrainPane

    target = of.engine.target.name
    return DrainPane(of.drain, every=_every(of, TABLES_SECONDS), refusal=of.refusal, target=target)


def _backups(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.backups import BackupsPane

    return BackupsPane(of.kept_backups, every=_every(of, TABLES_SECONDS), refusal=of.refusal)


def _drills(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.drills import DrillsPane

    return DrillsPane(of.drills, every=_every(of, TABLES_SECONDS), refusal=of.refusal)


def _trends(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.drills import TrendsPane

    return TrendsPane(of.drills, every=_every(of, TABLES_SECONDS), refusal=of.refusal)


def _runbooks(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.runbooks import RunbooksPane

    return RunbooksPane(of.shelf, every=LEDGER_SECONDS, refusal=of.start_refusal)


def _runs(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.runs import RunsPane

    return RunsPane(of.runs, every=LEDGER_SECONDS, live=of.live)


def _jobs(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.jobs import JobsPane

    return JobsPane(of.jobs, every=_every(of))


def _audit(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.audit import AuditPane

    return AuditPane(of.ledger, every=LEDGER_SECONDS)


def _effects(of: Sources) -> Pane[Any, Any]:
    from console.tui.panes.effects import EffectsPane

    return EffectsPane(of.effects, every=_every(of, TABLES_SECONDS), target=of.engine.target.name)


# Each imports what it shows when it is first opened: nobody waits at the start for all of them.
_MADE: Mapping[str, Callable[[Sources], Pane[Any, Any]]] = {
    "overview": _overview,
    "locks": _locks,
    "deadlocks": _deadlocks,
    "transactions": _transactions,
    "horizon": _horizon,
    "tables": _tables,
    "indexes": _indexes,
    "progress": _progress,
    "accounts": _accounts,
    "drain": _drain,
    "backups": _backups,
    "drills": _drills,
    "trends": _trends,
    "runbooks": _runbooks,
    "runs": _runs,
    "jobs": _jobs,
    "audit": _audit,
    "effects": _effects,
}
