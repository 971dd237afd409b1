"""What a rehearsal of a migration found: what each script locked and changed, and whether it leads back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from console.model.backups import Backup
from console.model.drills import Check, Phase, Verdict
from console.model.inventory import Difference


class HeldLock(msgspec.Struct, frozen=True, kw_only=True):
    """The strongest lock a script had on one table or index. `seconds` is how long it was seen, None where
    it came and went between two looks; `keeps` is what it keeps others from, in words.
    """

    relation: str
    mode: str
    seconds: float | None = None
    keeps: str = ""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One script as it was read: `path`, its SHA-256 and its size in bytes."""

    path: str
    sha256: str
    bytes: int


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """One script run. `error` is empty where it came to its end, `line` where it stopped.

    `one_transaction`: it ran as one, so that `locks` has every lock with its strongest mode; else `locks`
    are those that were seen. `unseen` is why no lock could be seen. `rewritten` are tables and indexes whose
    files are others than before.
    """

    script: Script
    seconds: float
    error: str = ""
    line: int | None = None
    one_transaction: bool = False
    locks: tuple[HeldLock, ...] = ()
    looks: int = 0
    unseen: str = ""
    rewritten: tuple[str, ...] = ()
    changed: Difference = Difference()


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """`astray` is what differs from before once `down` has run; `data` the tables whose rows differ then.

    `data_seen`: (tables whose rows were compared, tables there are).
    """

    id: str
    action_id: str
    target: str
    source: str
    backup: Backup
    database: str
    verdict: Verdict
    reasons: tuple[str, ...]
    started_at: datetime
    seconds: float
    phases: tuple[Phase, ...] = ()
    checks: tuple[Check, ...] = ()
    up: Stretch | None = None
    down: Stretch | None = None
    astray: Difference = Difference()
    data: tuple[str, ...] = ()
    data_seen: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()
    tools: dict[str, str] = {}
    host: dict[str, Any] = {}
    commands: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
