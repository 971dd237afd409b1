"""Why a table is not looked after, and why autovacuum does not keep up: sentences. Pure.

Only what the server shows is said. That a worker is cancelled again and again because others want its
lock is written to the log alone, and so is never claimed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from console.engine.postgres.horizon import Look, pinning
from console.engine.postgres.rows import Record
from console.engine.postgres.table_rows import Limits
from console.model.blocking import BlockingTree
from console.model.horizon import Holder, HolderKind
from console.model.sessions import Session, by_id
from console.model.tables import Table, TableKind

WORTH_TELLING = 10_000  # dead rows below autovacuum's threshold
THROTTLED = "Timeout/VacuumDelay"
_VACUUM = re.compile(r"^\s*(?:autovacuum:\s+)?(?:vacuum|analy[sz]e)\b", re.IGNORECASE)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The server's: `cost_limit` and `cost_delay` are those that hold for autovacuum."""

    autovacuum: bool = True
    track_counts: bool = True
    workers: int = 3
    cost_limit: int = 200
    cost_delay: str = "2ms"

    @classmethod
    def of(cls, row: Record) -> Settings:
        delay = row["vacuum_cost_delay"] if row["cost_delay"] == "-1" else row["cost_delay"]
        return cls(
            autovacuum=row["autovacuum"],
            track_counts=row["track_counts"],
            workers=row["workers"],
            cost_limit=row["cost_limit"],
            cost_delay=delay,
        )

    @property
    def off(self) -> str:
        if not self.autovacuum:
            return "autovacuum is off on this server (autovacuum = off)"
        if not self.track_counts:
            return "autovacuum does nothing on this server: it needs track_counts = on"
        return ""


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """A vacuum or an analyze that waits for the lock of its table; `by` are those in its way."""

    session: Session
    relation: int
    by: tuple[int, ...] = ()

    @property
    def who(self) -> str:
        kind = "autovacuum" if self.session.kind == "autovacuum worker" else "a vacuum"
        return f"{kind} (session {self.session.id})"

    @property
    def behind(self) -> str:
        return f", behind session {_few([str(pid) for pid in self.by])}" if self.by else ""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around all tables: settings, who waits, who works, and how many tables are due."""

    settings: Settings = Settings()
    blocked: Sequence[Blocked] = ()
    workers: Sequence[Session] = ()
    due: int = 0
    names: Mapping[int, str] = {}  # of relations by oid


def blocked(look: Look, tree: BlockingTree) -> list[Blocked]:
    """Of the connected database, where a relation's oid means something."""
    sessions = by_id(look.activity.sessions)
    by = {node.session.id: node.blocked_by for node in tree}
    found = []
    for row in look.locks:
        session = sessions.get(row["pid"] or 0)
        if row["granted"] or row["locktype"] != "relation" or row["database"] != look.here or session is None:
            continue
        if session.kind == "autovacuum worker" or _VACUUM.match(session.query or ""):
            found.append(Blocked(session=session, relation=row["relation"], by=tuple(by.get(session.id, ()))))
    return found


def table_why(table: Table, limits: Limits, holders: Sequence[Holder], scene: Scene) -> str:
    """`holders` are those of the horizon that matter for this table."""
    waits = [one for one in scene.blocked if one.relation == table.number]
    if waits:
        return f"{waits[0].who} waits for a lock on it{waits[0].behind}"
    if table.kind is TableKind.PARTITIONED:
        return _unanalysed(table)
    if table.busy is not None:
        return ""
    return (
        _pinned(table, limits, holders)
        or _switched_off(table, limits, scene)
        or _waits_turn(table, limits, scene)
    )


def _unanalysed(table: Table) -> str:
    if not table.stale_statistics:
        return ""
    return (
        "autovacuum never analyses a partitioned table itself, only its partitions: "
        f"table.analyze table={table.key}"
    )


def _switched_off(table: Table, limits: Limits, scene: Scene) -> str:
    if scene.settings.off:
        return scene.settings.off if limits.due or table.dead else ""
    return "" if limits.enabled else "autovacuum is off for it (autovacuum_enabled)"


def _waits_turn(table: Table, limits: Limits, scene: Scene) -> str:
    workers = scene.settings.workers
    if limits.due and len(scene.workers) >= workers:
        return f"it is due, and all {workers} autovacuum workers are busy"
    if limits.due:
        return "it is due: autovacuum has not come to it yet"
    if (table.dead or 0) >= WORTH_TELLING and limits.vacuum_at is not None and limits.enabled:
        return f"its threshold is not reached: autovacuum comes at {limits.vacuum_at:,} dead rows"
    return ""


def _pinned(table: Table, limits: Limits, holders: Sequence[Holder]) -> str:
    """Certain of who began before the last vacuum. Of slots and standbys the server does not tell since
    when they hold.
    """
    if limits.vacuum_at is None or (table.dead or 0) <= limits.vacuum_at:
        return ""
    holder = pinning(table.vacuumed_at, holders)
    if holder is not None:
        return f"{holder_words(holder)} holds the horizon since before its last vacuum: its dead rows stay"
    silent = [one for one in holders if one.kind in (HolderKind.SLOT, HolderKind.STANDBY)]
    if silent and table.vacuumed_at is not None:
        oldest = max(silent, key=lambda one: one.age or 0)
        return f"{holder_words(oldest)} holds the horizon, and may keep what its last vacuum left"
    return ""


def holder_words(holder: Holder) -> str:
    """Named as people know it: a session with its user and what it is in."""
    session = holder.session
    if holder.kind is HolderKind.SLOT:
        return f"replication slot {holder.name}"
    if holder.kind is HolderKind.STANDBY:
        return f"standby {holder.name}"
    if holder.kind is HolderKind.PREPARED:
        return f"prepared transaction {holder.name}"
    parts = [session.user, session.application, str(session.state)] if session else []
    return f"{holder.name} ({', '.join(part for part in parts if part)})" if any(parts) else holder.name


def server_why(scene: Scene, tables: Sequence[tuple[Table, Sequence[Holder]]]) -> str:
    """`tables` are the ones told of, each with the holders that matter for it."""
    if scene.settings.off:
        return f"{scene.settings.off}: tables are vacuumed to prevent wraparound only"
    return _held_back(tables) or _blocked_workers(scene) or _too_few(scene)


def _held_back(tables: Sequence[tuple[Table, Sequence[Holder]]]) -> str:
    pinned = [
        holder
        for table, holders in tables
        if table.parent is None or table.kind is TableKind.TABLE
        if table.vacuum_at is not None and (table.dead or 0) > table.vacuum_at
        if (holder := pinning(table.vacuumed_at, holders)) is not None
    ]
    if not pinned:
        return ""
    oldest = max(pinned, key=lambda one: one.age or 0)
    age = f", {oldest.age:,} transactions old," if oldest.age is not None else ""
    return f"{holder_words(oldest)}{age} holds the horizon: dead rows of {_tables(len(pinned))} cannot go"


def _blocked_workers(scene: Scene) -> str:
    waiting = [one for one in scene.blocked if one.session.kind == "autovacuum worker"]
    if not waiting:
        return ""
    first = waiting[0]
    name = scene.names.get(first.relation, f"relation {first.relation}")
    more = f"; {len(waiting) - 1} more wait" if len(waiting) > 1 else ""
    return f"{first.who} waits for a lock on {name}{first.behind}{more}"


def _too_few(scene: Scene) -> str:
    at_most = scene.settings.workers
    if not scene.due or len(scene.workers) < at_most:
        return ""
    sentence = f"all {at_most} autovacuum workers are busy and {_tables(scene.due)} wait"
    slowed = sum(1 for one in scene.workers if one.wait == THROTTLED)
    if slowed:
        limit, delay = scene.settings.cost_limit, scene.settings.cost_delay
        sentence += f"; the cost limit slows {slowed} of them (limit {limit} shared by all, delay {delay})"
    return sentence


def working(look: Look) -> list[Session]:
    """Autovacuum's workers of all databases: they share one limit."""
    return [one for one in look.activity.sessions if one.kind == "autovacuum worker"]


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count:,} tables"


def _few(names: Sequence[str], at_most: int = 3) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
