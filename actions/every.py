"""Every action dbdeck is loaded with, in the order in which they are listed."""

from __future__ import annotations

from typing import Any

from actions.applying import ApplyMigration
from actions.backups import TakeBackup
from actions.binlogs import PurgeBinaryLogs
from actions.chains import BreakChain
from actions.checking import CheckTable
from actions.creating import CreateAccount
from actions.credentials import RotateCredential
from actions.drills import BackupDrill
from actions.healing import MaintainDatabase
from actions.idle_transactions import TerminateIdle
from actions.indexes import CreateIndex, DropInvalid, Reindex
from actions.locking import LockCredential
from actions.migrations import RehearseMigration
from actions.prepared_transactions import RollbackPrepared
from actions.propagation import PropagateCredential
from actions.rehearsing import RehearseCredential
from actions.retiring import RetireCredential
from actions.revoking import RevokeAccount
from actions.rows import PurgeRows, SweepOrphans
from actions.sessions import CancelQuery, TerminateSession
from actions.settings import ResetSetting, SetSetting
from actions.slots import DropSlot
from actions.tables import AnalyzeTable, OptimizeTable, VacuumTable
from console.dispatch.action import Action

ALL: tuple[Action[Any], ...] = (
    CancelQuery(),
    TerminateSession(),
    TerminateIdle(),
    BreakChain(),
    RollbackPrepared(),
    DropSlot(),
    PurgeBinaryLogs(),
    VacuumTable(),
    AnalyzeTable(),
    OptimizeTable(),
    CheckTable(),
    Reindex(),
    CreateIndex(),
    DropInvalid(),
    MaintainDatabase(),
    PurgeRows(),
    SweepOrphans(),
    SetSetting(),
    ResetSetting(),
    RotateCredential(),
    RetireCredential(),
    LockCredential(),
    CreateAccount(),
    RevokeAccount(),
    RehearseCredential(),
    PropagateCredential(),
    TakeBackup(),
    BackupDrill(),
    RehearseMigration(),
    ApplyMigration(),
)
