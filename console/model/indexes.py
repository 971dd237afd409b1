"""What is wrong with indexes and the constraints that need them, ranked, each with what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum

import msgspec

from console.model.tables import Bloat


class Finding(StrEnum):
    INVALID = "invalid"
    BUILDING = "being built"
    LEFTOVER_NEW = "left by a failed rebuild"  # _ccnew: the index it should have replaced is still there
    LEFTOVER_OLD = "left after a rebuild"  # _ccold: its replacement is valid
    NO_PRIMARY_KEY = "no primary key"
    NO_INDEX_ON_FOREIGN_KEY = "foreign key without index"
    NOT_VALID = "constraint not valid"
    DUPLICATE = "duplicate"
    REDUNDANT = "redundant"  # its columns lead another index
    UNUSED = "unused"
    BLOATED = "bloated"
    SEQUENTIAL_SCANS = "sequential scans"
    INVISIBLE = "invisible"  # MySQL, MariaDB ("ignored"): kept up to date and never read
    NOT_INNODB = "not InnoDB"  # MySQL, MariaDB: a storage engine without crash safety or transactions


class Severity(IntEnum):
    """How much it matters; the greater stands first."""

    INFO = 0
    NOTICE = 1
    WARN = 2
    BAD = 3


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """One index as an action needs it. `number` and `filenode` are its identity (PostgreSQL).

    `state` is valid, building (somebody builds it now), or invalid; `concurrent` is empty where it can be
    rebuilt CONCURRENTLY, else the reason why not. `constraint` is the constraint it serves. `partitioned`: it
    stands for the indexes of partitions, which go with it; `attached`: it is one of those.
    """

    schema: str
    table: str
    name: str
    number: int = 0
    table_number: int = 0
    filenode: int | None = None
    bytes: int | None = None
    table_bytes: int | None = None
    state: str = "valid"
    unique: bool = False
    primary: bool = False
    constraint: str = ""
    definition: str = ""
    concurrent: str = ""
    partitioned: bool = False
    attached: bool = False
    builder: int | None = None

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.name}"


class IndexFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `name` is the index or the constraint; `number` its oid (PostgreSQL).

    `scans` since `since` (start of the statistics); `last_scan` where the server keeps it. `why` is the
    reason in a sentence, `remedy` the action with its arguments or the statement that mends it, `with_`
    the index it duplicates or is covered by.
    """

    finding: Finding
    severity: Severity
    schema: str
    table: str
    name: str = ""
    number: int = 0
    bytes: int | None = None
    definition: str = ""
    scans: int | None = None
    last_scan: datetime | None = None
    since: datetime | None = None
    bloat: Bloat | None = None
    session: int | None = None  # who builds it now
    with_: str = ""
    why: str = ""
    remedy: str = ""

    @property
    def key(self) -> str:
        return f"{self.finding}/{self.schema}.{self.table}/{self.name}"

    @property
    def action(self) -> str:
        """The action that mends it; empty where a statement does, or nothing."""
        first = self.remedy.partition(" ")[0]
        return first if "." in first and first.islower() else ""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column that an index may be asked for. `methods` are the kinds of index that take its type by
    themselves; None is unknown. `obstacle` is why no index takes it.
    """

    name: str
    type: str
    methods: tuple[str, ...] | None = None
    obstacle: str = ""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of index (PostgreSQL: access method), and what it can do."""

    name: str
    unique: bool = False
    several: bool = False
    include: bool = False


class IndexSite(msgspec.Struct, frozen=True, kw_only=True):
    """What an index of a table is built on. Without columns they could not be read just now; without
    methods the engine lets nobody choose one.
    """

    columns: tuple[Column, ...] = ()
    methods: tuple[Method, ...] = ()


class IndexHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Findings, the worst first, and how many indexes were looked at.

    `notes` say what could not be seen: scans on standbys, hidden statistics.
    """

    findings: tuple[IndexFinding, ...] = ()
    looked_at: int = 0
    bytes: int | None = None
    since: datetime | None = None
    notes: tuple[str, ...] = ()


def ranked(findings: list[IndexFinding]) -> tuple[IndexFinding, ...]:
    return tuple(
        sorted(findings, key=lambda one: (-one.severity, -(one.bytes or 0), one.schema, one.table, one.name))
    )


def beside_replicas(health: IndexHealth, replicas: Mapping[str, IndexHealth | str]) -> IndexHealth:
    """Unused is what no replica uses either; a text instead of a reading is why one could not be asked.

    Replicas count their own scans: an index that only reports on a standby use looks unused here.
    """
    if not replicas:
        return health
    read = {name: one for name, one in replicas.items() if isinstance(one, IndexHealth)}
    findings, used = [], 0
    for one in health.findings:
        on = [name for name, other in read.items() if one.key not in _unused(other)]
        if one.finding is not Finding.UNUSED:
            findings.append(one)
        elif on:
            used += 1
        else:
            also = f"; nor on {', '.join(read)}" if read else ""
            findings.append(msgspec.structs.replace(one, why=f"{one.why}{also}"))
    unasked = {name: why for name, why in replicas.items() if isinstance(why, str)}
    notes = [f"whether {name} uses them is unknown: {why}" for name, why in unasked.items()]
    if used:
        notes.append(f"{used} indexes that are not used here are used on {', '.join(read)}")
    return msgspec.structs.replace(health, findings=tuple(findings), notes=(*notes, *health.notes))


def _unused(health: IndexHealth) -> frozenset[str]:
    return frozenset(one.key for one in health.findings if one.finding is Finding.UNUSED)
