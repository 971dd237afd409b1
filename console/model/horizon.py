"""The cleanup horizon: what keeps vacuum (PostgreSQL) or purge (InnoDB) from removing old row versions."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from console.model.sessions import Session


class HolderKind(StrEnum):
    """What holds the horizon back, in the words of the servers' manuals."""

    TRANSACTION = "transaction"  # has an xid: it wrote
    SNAPSHOT = "snapshot"  # has an xmin (a read view in InnoDB): a statement or a repeatable-read transaction
    PREPARED = "prepared transaction"
    SLOT = "replication slot"
    STANDBY = "standby feedback"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps old row versions alive.

    `age` is in transactions begun since (PostgreSQL: age(xid)); `seconds` since it began, where known.
    `scope` says which tables are pinned, `here` whether ordinary ones of the connected database are among
    them. `consumer` names who reads through it (a standby, a slot's
    client); `target` is the configured target that consumer is, when it is one. `remedy` is the action
    with its arguments, or what to do in words.
    """

    kind: HolderKind
    name: str
    age: int | None = None
    seconds: float | None = None
    scope: str = ""
    session: Session | None = None
    consumer: str | None = None
    address: str | None = None
    remedy: str = ""
    here: bool = True

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"


class Uncleaned(msgspec.Struct, frozen=True, kw_only=True):
    """Row versions of one table that wait to be removed; `since_vacuum` seconds since its last vacuum."""

    table: str
    dead_rows: int
    since_vacuum: float | None = None
    pinned: bool = False  # vacuumed after the oldest holder began, and they are still there


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    """Holders, the oldest first, and what cannot be cleaned because of them.

    `age` is that of the oldest holder in transactions, None where there is none or it is not known.
    `history_length` is InnoDB's history list (undo log records not purged yet), `undo_bytes` the size of
    the undo tablespaces. `notes` say what could not be seen, and what would change that.
    """

    holders: tuple[Holder, ...] = ()
    age: int | None = None
    history_length: int | None = None
    undo_bytes: int | None = None
    uncleaned: tuple[Uncleaned, ...] = ()
    notes: tuple[str, ...] = ()


def ranked(holders: list[Holder]) -> tuple[Holder, ...]:
    """Oldest first: by age in transactions, then by seconds."""
    return tuple(sorted(holders, key=lambda one: (-(one.age or 0), -(one.seconds or 0.0), one.name)))
