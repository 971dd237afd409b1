"""Tables as maintenance sees them: how large, how much of it is waste, when they were last looked after."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from console.model.wraparound import Wraparound


class TableKind(StrEnum):
    TABLE = "table"
    PARTITIONED = "partitioned table"
    MATERIALIZED_VIEW = "materialized view"


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """What bears a name: `kind` is table, view, index, sequence, foreign table … in the engine's words."""

    schema: str
    name: str
    kind: str


class Bloat(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that hold nothing anybody can read. `low` and `high` are the error bar of an estimate.

    `exact`: measured by reading the table (pgstattuple), not estimated from the planner's statistics.
    """

    wasted: int
    low: int
    high: int
    exact: bool = False


class Exhaustion(msgspec.Struct, frozen=True, kw_only=True):
    """How far the numbers of a column are used up: `last` given out of at most `limit`.

    `sequence` is the server's name of what gives the numbers; `limit` is the smaller of its maximum and
    of what the column's type holds.
    """

    column: str
    sequence: str
    last: int
    limit: int

    @property
    def used(self) -> float:
        return self.last / self.limit if self.limit else 1.0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table. Sizes are bytes, ages transactions; None is unknown, or what the engine has not.

    `number` identifies it on the server (PostgreSQL: its oid); it is part of the subject's identity.
    `bytes` is the main fork or the clustered index, `index_bytes` all (secondary) indexes, `free_bytes`
    what the server says is free inside. `rows` and `dead` are the statistics' counts. `vacuum_at` is how
    many dead rows make autovacuum come, `insert_at` how many new rows do, `analyze_at` how many changes make
    autoanalyze come, None where it is switched off. `settings` are the table's own storage parameters
    (reloptions). `why` says in a sentence what keeps it from being looked after; empty where nothing does.
    A partitioned table adds its partitions up, whose `parent` it is (key of that table); `partitions`
    counts its leaves.
    """

    schema: str
    name: str
    number: int = 0
    kind: TableKind = TableKind.TABLE
    owner: str = ""
    parent: str | None = None
    partitions: int = 0
    storage: str = ""  # heap, InnoDB, MyISAM …
    bytes: int | None = None
    toast_bytes: int | None = None
    index_bytes: int | None = None
    free_bytes: int | None = None
    rows: int | None = None
    dead: int | None = None
    modified: int | None = None  # since the last analyze
    inserted: int | None = None  # since the last vacuum
    bloat: Bloat | None = None
    vacuumed_at: datetime | None = None
    vacuumed_by: str = ""  # manual | auto
    vacuums: int | None = None  # manual ones, counted since the statistics began
    analyzed_at: datetime | None = None
    analyzed_by: str = ""
    analyzes: int | None = None
    filenode: int | None = None  # another one after the table was rewritten
    created_at: datetime | None = None  # MySQL and MariaDB: a rebuild makes it anew
    vacuum_at: int | None = None
    insert_at: int | None = None
    analyze_at: int | None = None
    autovacuum: bool = True
    xid_age: int | None = None
    mxid_age: int | None = None
    settings: dict[str, str] = {}
    exhaustion: Exhaustion | None = None
    stale_statistics: bool = False
    busy: int | None = None  # the session that vacuums or analyses it now
    why: str = ""

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def total_bytes(self) -> int | None:
        if self.bytes is None:
            return None
        return self.bytes + (self.toast_bytes or 0) + (self.index_bytes or 0)

    @property
    def at_least(self) -> bool:
        """Whether `total_bytes` lacks a part that was never counted: only PostgreSQL has TOAST apart."""
        counted = (self.toast_bytes, self.index_bytes) if self.number else (self.index_bytes,)
        return self.bytes is not None and None in counted


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables that matter most, in the server's order, and how many there are.

    `order` says by what they were chosen. `at` is the server's clock, where it was asked. `why` is why
    autovacuum (or purge) does not keep up, in a sentence; empty where it does. `notes` say what could not be
    seen, and what would change that.
    """

    tables: tuple[Table, ...] = ()
    total: int = 0
    order: str = ""
    at: datetime | None = None
    wraparound: Wraparound | None = None
    why: str = ""
    notes: tuple[str, ...] = ()


class TableOrder(StrEnum):
    """By what the server chooses the tables it tells of."""

    NEED = "need"  # dead rows over what autovacuum waits for, stale statistics, age
    SIZE = "size"
    DEAD = "dead"
    AGE = "age"
    NAME = "name"


class TableQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which tables are asked for. Empty conditions hold for all.

    `names` are exact `schema.name` keys as pairs; `schema` is exact, `pattern` a shell pattern (* and ?) on
    `name`, or on `schema.name` where it has a dot. Partitions are told beside the tables they belong to.
    `system`: catalogs too. `brief`: without bloat, exhaustion, reasons and wraparound, which take most of
    the time of a long list. `marks`: of the tables called `names` only what identifies them and tells when
    they were looked after; what holds no rows itself is left out. `limit` tables at most, from `offset` on,
    and at most as many of their partitions.
    """

    order: TableOrder = TableOrder.NEED
    limit: int = 200
    offset: int = 0
    names: tuple[tuple[str, str], ...] = ()
    schema: str = ""
    pattern: str = ""
    system: bool = False
    brief: bool = False
    marks: bool = False


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What an exact look at a table or an index would read, before it is taken.

    `how` is the statement, `lock` the lock it takes, `refusal` why it cannot be done here, with the
    command that would change that.
    """

    subject: str
    bytes: int | None
    how: str
    lock: str
    refusal: str = ""
