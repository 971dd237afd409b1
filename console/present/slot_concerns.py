"""What is wrong with replication slots: WAL that a reader lost, or is about to lose, or does not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from console.model.overview import Concern, Trouble
from console.model.replication import Slot
from console.present.units import age, size

SHORT_WARN, SHORT_BAD = 0.25, 0.10  # shares of max_slot_wal_keep_size that are left
GB: Final = 1 << 30


def slot_concerns(slots: Sequence[Slot], unread: float) -> Iterator[Concern]:
    """Each kind once, with the slot that is worst off. `unread` are GB. A slot that is synchronised to a
    standby has no reader there, and is made anew there where it was lost.
    """
    own = [one for one in slots if not one.synced]
    lost = [one for one in own if _lost(one)]
    losing = [one for one in own if not _lost(one) and one.wal_status == "unreserved"]
    kept = [one for one in own if one not in lost and one not in losing]
    short = sorted((one for one in kept if _left(one) <= SHORT_WARN), key=_left)
    alone = [one for one in kept if _unread(one) and (one.retained_bytes or 0) >= unread * GB]
    alone.sort(key=lambda one: -(one.retained_bytes or 0))
    if lost:
        reason = f" ({lost[0].invalidation})" if lost[0].invalidation else ""
        yield _concern(True, lost, f"slot lost{reason}", "; its reader has to be rebuilt")
    if losing:
        yield _concern(True, losing, "slot about to lose WAL", ", at the next checkpoint")
    if short:
        left = size(max(0, short[0].safe_bytes or 0))
        yield _concern(_left(short[0]) <= SHORT_BAD, short, f"slot lost in {left} more of WAL")
    if alone:
        kept_bytes = size(alone[0].retained_bytes)
        yield _concern(False, alone, f"unread slot keeps {kept_bytes} of WAL", _since(alone[0]))


def _concern(bad: bool, slots: Sequence[Slot], what: str, more: str = "") -> Concern:
    """What is wrong stands before the name, which may be longer than a narrow line has room for."""
    names = f"{slots[0].name}{f' and {len(slots) - 1} more' if len(slots) > 1 else ''}"
    return Concern(trouble=Trouble.BAD if bad else Trouble.WARN, text=f"{what}: {names}{more}")


def _lost(slot: Slot) -> bool:
    return slot.wal_status == "lost" or bool(slot.invalidation)


def _left(slot: Slot) -> float:
    """The share of what it may keep that is not used yet; 1 where nothing bounds it."""
    if slot.safe_bytes is None or not slot.retained_bytes:
        return 1.0
    left = max(0, slot.safe_bytes)
    return left / (slot.retained_bytes + left)


def _unread(slot: Slot) -> bool:
    return slot.active_pid is None and not slot.temporary


def _since(slot: Slot) -> str:
    """Since when, where PostgreSQL tells (17); a minute is fine enough."""
    if slot.idle_seconds is None:
        return ""
    seconds = slot.idle_seconds
    return f", for {age(seconds // 60 * 60)}" if seconds >= 60 else ", now"
