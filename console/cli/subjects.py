"""What `show` can show: how each subject is read, and its rows, lines and words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from console.audit.record import Entry
from console.audit.rotations import rotation_rows
from console.backups.board import Past, nothing_past, read_backups, read_drills
from console.cli.context import ledger
from console.config import Config
from console.dispatch.drift import Sentinel
from console.engine.account_check import check
from console.engine.drain_board import Actions, drain_board, nobody_knows
from console.engine.port import Engine
from console.engine.replicas import index_health
from console.errors import DbdeckError
from console.model.account_findings import AccountFinding, Checked
from console.model.accounts import Account, Accounts, judged
from console.model.backup_board import BackupBoard, DrillBoard, Kept
from console.model.backups import Backup, Method, TargetDrills
from console.model.blocking import LockNode
from console.model.deadlocks import Deadlock, DeadlockHistory
from console.model.drain import Drain
from console.model.drain_board import DrainBoard, Draining
from console.model.drill_history import DrillRecord
from console.model.drills import Verdict
from console.model.horizon import Holder, HolderKind, Horizon
from console.model.indexes import Finding, IndexFinding, IndexHealth, Severity
from console.model.progress import Progress, ProgressReport
from console.model.sessions import Session
from console.model.tables import Table, TableQuery, Tables
from console.model.transactions import OpenTransaction
from console.present import (
    account_check,
    accounts,
    backups,
    deadlocks,
    drain,
    drills,
    horizon,
    indexes,
    locks,
    progress,
    sessions,
    tables,
    transactions,
)
from console.present.table import Column, Line, Tone
from console.secret_store import SecretStore, of_this_process


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _as_read(found: Any, _: Config, __: str) -> Any:
    return found


def _whole(_: Any) -> DbdeckError | None:
    return None


def _no_notes(_: Any) -> Iterable[str]:
    return ()


_NONE: Mapping[str, TargetDrills] = {}


class Beside(NamedTuple):
    """What some subjects are read with, beside the server itself. `actions` and `past` ask the ledger, the
    latter for how drills ended; `every` are the backups of all targets.
    """

    replicas: Sequence[Engine] = ()
    store: SecretStore | None = None
    actions: Actions = nobody_knows
    past: Past = nothing_past
    every: Mapping[str, TargetDrills] = _NONE


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`beside` are fields of the document next to its rows; `notes` say on stderr what could not be seen.
    `one` is a reading with one row, to tell the fields where there are no rows. `read_beside` looks at more
    than the server, where that alone cannot tell; `of_secrets` says that it looks into the keyring. `judge`
    adds what the config says of the target of that name. `problem` is why the reading is not whole.
    `paragraphs` are the text where sentences are read, and no table.
    """

    read: Callable[[Engine], Awaitable[Any]]
    one: Any
    rows: Callable[[Any], list[dict[str, Any]]]
    columns: tuple[Column, ...] | Callable[[Any], tuple[Column, ...]]
    lines: Callable[[Any], Sequence[Line]]
    empty: str
    beside: Callable[[Any], dict[str, Any]] = _nothing
    notes: Callable[[Any], Iterable[str]] = _no_notes
    summary: Callable[[Any], str] | None = None
    read_beside: Callable[[Engine, Beside], Awaitable[Any]] | None = None
    of_secrets: bool = False
    problem: Callable[[Any], DbdeckError | None] = _whole
    judge: Callable[[Any, Config, str], Any] = _as_read
    paragraphs: Callable[[Any], list[tuple[str, Tone]]] | None = None

    def columns_of(self, found: Any) -> tuple[Column, ...]:
        """Those the engine has anything for."""
        return self.columns(found) if callable(self.columns) else self.columns

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.rows(self.one)[0])


_NOBODY = Session(id=0, started_at=None)
_NEVER = datetime.fromtimestamp(0, UTC)

_NO_DRILL = DrillRecord(
    id="", source="", backup="", method="", verdict=Verdict.ABORTED, started_at=_NEVER, seconds=0.0
)

SUBJECTS = {
    "locks": Subject(
        read=lambda engine: engine.locks(),
        one=(LockNode(session=_NOBODY),),
        rows=locks.document,
        columns=locks.COLUMNS,
        lines=locks.lines,
        empty="no session waits for a lock",
        notes=locks.notes,
    ),
    "sessions": Subject(
        read=lambda engine: engine.sessions(),
        one=(_NOBODY,),
        rows=sessions.document,
        columns=sessions.COLUMNS,
        lines=sessions.lines,
        empty="no sessions",
    ),
    "deadlocks": Subject(
        read=lambda engine: engine.deadlocks(),
        one=DeadlockHistory(deadlocks=(Deadlock(at=_NEVER, source="", ident=""),)),
        rows=deadlocks.document,
        columns=deadlocks.COLUMNS,
        lines=deadlocks.lines,
        empty="no deadlock is known",
        beside=deadlocks.beside,
        notes=deadlocks.notes,
        summary=deadlocks.summary,
    ),
    "transactions": Subject(
        read=lambda engine: engine.transactions(),
        one=(OpenTransaction(session=_NOBODY),),
        rows=transactions.document,
        columns=transactions.COLUMNS,
        lines=transactions.lines,
        empty="no transaction is open",
        summary=transactions.summary,
    ),
    "tables": Subject(
        read=lambda engine: engine.tables(TableQuery()),
        one=Tables(tables=(Table(schema="", name=""),)),
        rows=tables.document,
        columns=tables.columns,
        lines=tables.lines,
        empty="there are no tables",
        beside=tables.beside,
        notes=tables.notes,
        summary=tables.summary,
    ),
    "indexes": Subject(
        read=lambda engine: engine.index_health(),
        read_beside=lambda engine, beside: index_health(engine, beside.replicas),
        one=IndexHealth(
            findings=(IndexFinding(finding=Finding.INVALID, severity=Severity.INFO, schema="", table=""),)
        ),
        rows=indexes.document,
        columns=indexes.COLUMNS,
        lines=indexes.lines,
        empty="nothing is wrong with any index",
        beside=indexes.beside,
        notes=indexes.notes,
        summary=indexes.summary,
    ),
    "progress": Subject(
        read=lambda engine: engine.progress(),
        one=ProgressReport(work=(Progress(session=0, command=""),)),
        rows=progress.document,
        columns=progress.COLUMNS,
        lines=progress.lines,
        empty="nothing reports progress now",
        beside=progress.beside,
        notes=progress.notes,
        summary=progress.summary,
    ),
    "horizon": Subject(
        read=lambda engine: engine.horizon(),
        one=Horizon(holders=(Holder(kind=HolderKind.TRANSACTION, name=""),)),
        rows=horizon.document,
        columns=horizon.COLUMNS,
        lines=horizon.lines,
        empty="nothing holds cleanup back",
        beside=horizon.beside,
        notes=horizon.notes,
        summary=horizon.summary,
    ),
    "accounts": Subject(
        read=lambda engine: engine.accounts(),
        judge=lambda found, config, target: judged(found, config.rotation.of(target)),
        one=Accounts(accounts=(Account(name=""),)),
        rows=accounts.document,
        columns=accounts.columns,
        lines=accounts.lines,
        empty="no account is known",
        beside=accounts.beside,
        notes=accounts.notes,
        summary=accounts.summary,
    ),
    "drain": Subject(
        read=lambda engine: drain_board(engine, None),
        read_beside=lambda engine, beside: drain_board(engine, beside.store, beside.actions),
        of_secrets=True,
        one=DrainBoard(
            accounts=(Draining(user="", seen=Drain(user="", rotated_at=None, overlap=False, older=None)),)
        ),
        rows=drain.document,
        columns=drain.COLUMNS,
        lines=drain.lines,
        empty=drain.EMPTY,
        beside=drain.beside,
        notes=drain.notes,
        summary=drain.summary,
        problem=lambda board: board.problem,
    ),
    "backups": Subject(
        read=lambda engine: read_backups(engine.target, nothing_past),
        read_beside=lambda engine, beside: read_backups(engine.target, beside.past),
        one=BackupBoard(kept=(Kept(backup=Backup(source="", id="", method=Method.PG_DUMP, path="")),)),
        rows=backups.document,
        columns=backups.COLUMNS,
        lines=backups.lines,
        empty=backups.EMPTY,
        beside=backups.beside,
        notes=backups.notes,
        summary=backups.summary,
    ),
    "drills": Subject(
        read=lambda engine: read_drills(engine.target, _NONE, nothing_past),
        read_beside=lambda engine, beside: read_drills(engine.target, beside.every, beside.past),
        one=DrillBoard(drills=(_NO_DRILL,)),
        rows=drills.document,
        columns=drills.COLUMNS,
        lines=drills.lines,
        empty=drills.EMPTY,
        beside=drills.beside,
        notes=drills.notes,
        summary=drills.summary,
    ),
}


def sentinel(engine: Engine, config: Config) -> Sentinel:
    async def rows() -> list[Entry]:
        async with ledger(config, write=False) as opened:
            return await rotation_rows(opened)

    return Sentinel(engine, rows, of_this_process())


def comparing(config: Config) -> Subject:
    """`show accounts`: compared with what our rotations set, once a target however often it is read."""
    sentinels: dict[str, Sentinel] = {}

    async def read(engine: Engine) -> Accounts:
        found, name = await engine.accounts(), engine.target.name
        looking = sentinels.setdefault(name, sentinel(engine, config))
        return await looking.judge(found, config.rotation.of(name))

    return msgspec.structs.replace(SUBJECTS["accounts"], read=read, judge=_as_read)


def checking(config: Config, seconds: float) -> Subject:
    """`show accounts --check`: what it reads depends on the config, and takes as long as it may."""

    async def read(engine: Engine) -> Checked:
        rule, look = config.rotation.of(engine.target.name), sentinel(engine, config).look
        return await check(engine, rule, seconds=seconds, look=look)

    return Subject(
        read=read,
        one=Checked(
            findings=(AccountFinding(severity=Severity.INFO, account="", what="", why="", remedy=""),)
        ),
        rows=account_check.document,
        columns=account_check.COLUMNS,
        lines=account_check.lines,
        paragraphs=account_check.paragraphs,
        empty="nothing is wrong with any account",
        beside=account_check.beside,
        notes=account_check.notes,
        summary=account_check.summary,
    )
