"""How each target is doing, in one line: what a short look told, how it changed, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Final

import msgspec

from console.model.blocking import BlockingTree, LockNode
from console.model.cluster import Cluster
from console.model.reading import Problem
from console.model.replication import Slot
from console.model.wraparound import Numbers

BUCKET_SECONDS: Final = 15.0
BUCKETS: Final = 30
SERIES: Final = ("waits", "connections", "work", "wal", "lag")


class Trouble(IntEnum):
    """How urgent it is; unknown stands above well, because nobody knows that it is."""

    WELL = 0
    NOTICE = 1
    UNKNOWN = 2
    WARN = 3
    BAD = 4


class Concern(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, or not known, in a sentence."""

    trouble: Trouble
    text: str


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """The worst of those who keep others waiting. `seconds` is the longest wait behind it, `root` its number,
    or the name of a prepared transaction; empty where it cannot be told.
    """

    behind: int
    root: str
    seconds: float | None = None


REPLICA_UNKNOWN = "whether this is a replica is unknown"  # what `unknown` begins with, with the GRANT


class Commits(msgspec.Struct, frozen=True, kw_only=True):
    """Commits that are done when standbys have them: `wanted` have to confirm each, `there` of those that
    may stream. `waiting` wait for that now, for `seconds` at most.
    """

    standbys: str
    wanted: int
    there: int
    waiting: int = 0
    seconds: float | None = None


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One short look. `at` and `started` are seconds of the server's own clock.

    `work` counts transactions (by database) or statements since the server's start, `wal` bytes of WAL or
    redo log, `xid` transaction numbers; `halted` says that it has a source and does not replicate now.
    `follows`: it is a replica. `commits`: None where no standby has to confirm any; `cluster` where it is a
    part of none. None is not known;
    `unknown` says why, with the GRANT.
    """

    at: float
    started: float
    waiting: int | None = None
    queue: Queue | None = None
    connections: int | None = None
    most: int | None = None  # that clients may have: without what is reserved
    work: Mapping[str, int] | None = None
    wal: int | None = None
    xid: int | None = None
    lag_seconds: float | None = None
    lag_bytes: int | None = None
    replica: str = ""
    halted: str = ""
    follows: bool | None = None
    commits: Commits | None = None
    cluster: Cluster | None = None
    unknown: tuple[str, ...] = ()


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What changes slowly. `disk_used` is a share of 1; `overdue` are sources of backups without proof.
    `slots` is None where they are not known.
    """

    numbers: tuple[Numbers, ...] = ()
    disk: str = ""
    disk_used: float | None = None
    overdue: tuple[str, ...] = ()
    slots: tuple[Slot, ...] | None = None
    unknown: tuple[str, ...] = ()


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """A second; None where two looks at one run of the server are not there yet."""

    work: float | None = None
    wal: float | None = None
    xid: float | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A target. `taken_at` is of `steady_now`; `silent` are seconds without the answer that is due."""

    name: str
    engine: str
    environment: str
    address: str = ""
    source: str = ""  # of which target the config says that it is a replica
    pulse: Pulse | None = None
    taken_at: datetime | None = None
    problem: Problem | None = None
    silent: float = 0.0
    outlook: Outlook = Outlook()
    rates: Rates = Rates()
    series: Mapping[str, tuple[float | None, ...]] = {}
    concerns: tuple[Concern, ...] = ()

    @property
    def trouble(self) -> Trouble:
        return max((one.trouble for one in self.concerns), default=Trouble.WELL)

    @property
    def stale(self) -> bool:
        return self.problem is not None or self.silent > 0

    @property
    def left(self) -> int | None:
        """Connections that clients could still open."""
        pulse = self.pulse
        if pulse is None or pulse.connections is None or pulse.most is None:
            return None
        return max(0, pulse.most - pulse.connections)


# ---- how it changed ----------------------------------------------------------------------------


def rates(before: Pulse | None, now: Pulse) -> Rates:
    """Nothing across a restart, or where a counter was reset."""
    if before is None or now.at <= before.at or abs(now.started - before.started) > 1:
        return Rates()
    seconds = now.at - before.at
    return Rates(
        work=_work(before.work, now.work, seconds),
        wal=_rate(before.wal, now.wal, seconds),
        xid=_rate(before.xid, now.xid, seconds),
    )


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    return None if before is None or now is None or now < before else (now - before) / seconds


def _work(before: Mapping[str, int] | None, now: Mapping[str, int] | None, seconds: float) -> float | None:
    """Of those seen both times: a database that nobody was connected to has no counter in either."""
    if before is None or now is None:
        return None
    found = [_rate(before[name], now[name], seconds) for name in before.keys() & now.keys()]
    return sum(one for one in found if one is not None) if found else None


class Track:
    """What the last minutes were like: the most of each bucket, and None where nobody looked."""

    def __init__(self) -> None:
        self._before: Pulse | None = None
        self._buckets: dict[int, dict[str, float]] = {}
        self.rates = Rates()

    def add(self, pulse: Pulse, at: float) -> None:
        """`at` is a clock that only goes forward."""
        self.rates = rates(self._before, pulse)
        self._before = pulse
        here = {
            "waits": pulse.waiting,
            "connections": pulse.connections,
            "work": self.rates.work,
            "wal": self.rates.wal,
            "lag": pulse.lag_seconds,
        }
        place = int(at // BUCKET_SECONDS)
        bucket = self._buckets.setdefault(place, {})
        for name, value in here.items():
            if value is not None:
                bucket[name] = max(value, bucket.get(name, value))
        self._buckets = {one: kept for one, kept in self._buckets.items() if one > place - BUCKETS}

    def series(self) -> dict[str, tuple[float | None, ...]]:
        """Each up to the last look, the oldest first, from the first that is known."""
        if not self._buckets:
            return {}
        places = range(min(self._buckets), max(self._buckets) + 1)
        return {name: tuple(self._buckets.get(one, {}).get(name) for one in places) for name in SERIES}


# ---- what is wrong -----------------------------------------------------------------------------


def queue_of(tree: BlockingTree) -> Queue | None:
    """The root that most wait behind, with the longest wait in its part of the tree."""
    parts: list[list[LockNode]] = []
    for node in tree:
        if node.depth == 0 or not parts:
            parts.append([])
        parts[-1].append(node)
    if not parts:
        return None
    worst = max(parts, key=lambda part: (part[0].blocks, len(part)))
    root = worst[0].session
    named = root.prepared or (str(root.id) if root.id > 0 else "")
    waits = [node.wait_seconds for node in worst if node.wait_seconds is not None]
    return Queue(behind=worst[0].blocks or len(worst) - 1, root=named, seconds=max(waits, default=None))


def by_trouble(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """The worst first, then as in the config: what is well never changes places."""
    return tuple(sorted(standings, key=lambda one: -one.trouble))
