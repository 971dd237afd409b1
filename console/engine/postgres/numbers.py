"""Transaction numbers: how old the oldest are, how fast new ones are given out, and who wins the race.

Nothing here uses a number up: pg_snapshot_xmax() and mxid_age() only look.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.engine.postgres.rows import Record
from console.model.progress import Progress
from console.model.wraparound import Limits, Numbers, Wraparound, race, xid_limits

KEPT_SECONDS = 900.0
ENOUGH_SECONDS = 10.0  # a rate of less says nothing
MXIDS = 1 << 32
HEAP_SHARE = 3  # a vacuum takes at most so many times as long as its first look at the heap: an assumption


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The next numbers to be given out, when this was (seconds of a clock that only goes forward)."""

    at: float
    xid: int
    mxid: int


class Burn:
    """Remembers earlier looks at the next numbers; the first is compared with the last checkpoint."""

    def __init__(self) -> None:
        self._server: object = None
        self._looks: list[Look] = []

    def rates(self, server: object, row: Record, at: float) -> tuple[float | None, float | None]:
        """(transaction numbers a second, multixact numbers a second). Another `server` begins anew."""
        if server != self._server:
            self._server, self._looks = server, []
        here = Look(at=at, xid=int(row["next_xid"]), mxid=row["next_mxid"])
        earlier = [one for one in self._looks if at - one.at <= KEPT_SECONDS and one.xid <= here.xid]
        self._looks = [*earlier, here]
        return rates(here, earlier[0] if earlier else None, _checkpoint(row, at))


def _checkpoint(row: Record, at: float) -> Look | None:
    """Its next number is written as epoch:number."""
    if row["checkpoint_xid"] is None or row["since_checkpoint"] is None:
        return None
    epoch, number = (int(part) for part in row["checkpoint_xid"].split(":"))
    return Look(at=at - row["since_checkpoint"], xid=(epoch << 32) + number, mxid=int(row["checkpoint_mxid"]))


def rates(here: Look, first: Look | None, checkpoint: Look | None) -> tuple[float | None, float | None]:
    """Our own looks where they span long enough, else since the last checkpoint, else nothing."""
    for since in (first, checkpoint):
        if since is not None and here.at - since.at >= ENOUGH_SECONDS and here.xid >= since.xid:
            seconds = here.at - since.at
            return (here.xid - since.xid) / seconds, (here.mxid - since.mxid) % MXIDS / seconds
    return None, None


def wraparound(
    row: Record,
    version: int,
    rate: tuple[float | None, float | None],
    vacuums: Sequence[tuple[int, Progress]],
) -> Wraparound:
    """`vacuums` are those running in the connected database, with the oid of their table."""
    xid = _numbers("xid", row, _limits(row, "xid", version), rate[0])
    mxid = _numbers("mxid", row, _limits(row, "mxid", version), rate[1])
    racing = next((work for relation, work in vacuums if relation == row["xid_relation"]), None)
    finishes, sentence = vacuum_race(xid, racing)
    return Wraparound(xid=xid, mxid=mxid, finishes_first=finishes, sentence=sentence)


def _limits(row: Record, kind: str, version: int) -> Limits:
    return xid_limits(version, row[f"{kind}_freeze"], row[f"{kind}_failsafe"])


def _numbers(kind: str, row: Record, limits: Limits, rate: float | None) -> Numbers:
    return Numbers(
        kind="xid" if kind == "xid" else "multixact",
        age=row[f"{kind}_age"],
        limits=limits,
        database=row[f"{kind}_database"],
        table=row[f"{kind}_table"] or "",
        table_age=row[f"{kind}_table_age"],
        rate=rate,
    )


def vacuum_race(numbers: Numbers, vacuum: Progress | None) -> tuple[bool | None, str]:
    """What is known is the rest of its phase. It wins surely when it would with all phases still to come,
    and loses surely when this phase alone takes too long.
    """
    if vacuum is None:
        return None, ""
    name = f"the {'auto' if vacuum.automatic else ''}vacuum of {vacuum.object} (session {vacuum.session})"
    left = vacuum.estimate.seconds
    if left is None:
        return race(numbers, None, name)
    scanned = left + (vacuum.seconds or 0.0)
    at_worst = left + (HEAP_SHARE - 1) * scanned if vacuum.phase == "scanning heap" else HEAP_SHARE * left
    soonest, latest = race(numbers, left, name), race(numbers, at_worst, name)
    return soonest if soonest[0] == latest[0] else race(numbers, None, name)
