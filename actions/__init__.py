"""The actions dbdeck is loaded with: ALL of them, or `one` by its name, which imports no other."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from console.dispatch.action import Action

ALL: tuple[Action[Any], ...]

# Each is in `actions.every`, too; a guard holds the two together.
WHERE: Final[Mapping[str, str]] = {
    "session.cancel": "sessions:CancelQuery",
    "session.terminate": "sessions:TerminateSession",
    "session.terminate_idle": "idle_transactions:TerminateIdle",
    "chain.break": "chains:BreakChain",
    "transaction.rollback_prepared": "prepared_transactions:RollbackPrepared",
    "slot.drop": "slots:DropSlot",
    "binlog.purge": "binlogs:PurgeBinaryLogs",
    "table.vacuum": "tables:VacuumTable",
    "table.analyze": "tables:AnalyzeTable",
    "table.optimize": "tables:OptimizeTable",
    "table.check": "checking:CheckTable",
    "index.reindex": "indexes:Reindex",
    "index.create": "indexes:CreateIndex",
    "index.drop_invalid": "indexes:DropInvalid",
    "database.maintain": "healing:MaintainDatabase",
    "rows.purge": "rows:PurgeRows",
    "rows.sweep_orphans": "rows:SweepOrphans",
    "setting.set": "settings:SetSetting",
    "setting.reset": "settings:ResetSetting",
    "credential.rotate": "credentials:RotateCredential",
    "credential.retire": "retiring:RetireCredential",
    "credential.lock": "locking:LockCredential",
    "account.create": "creating:CreateAccount",
    "account.revoke": "revoking:RevokeAccount",
    "credential.rehearse": "rehearsing:RehearseCredential",
    "credential.propagate": "propagation:PropagateCredential",
    "backup.take": "backups:TakeBackup",
    "backup.drill": "drills:BackupDrill",
    "migration.rehearse": "migrations:RehearseMigration",
    "migration.apply": "applying:ApplyMigration",
}


def one(name: str) -> Action[Any] | None:
    """None for a name that no action has."""
    if name not in WHERE:
        return None
    module, _, kind = WHERE[name].partition(":")
    made: Action[Any] = getattr(import_module(f"actions.{module}"), kind)()
    return made


def __getattr__(name: str) -> object:
    if name != "ALL":
        raise AttributeError(name)
    from actions import every

    return every.ALL
