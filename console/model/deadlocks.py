"""Deadlocks that servers resolved: one shape for all engines, a fingerprint, and the inversion in words."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec


class LockRef(msgspec.Struct, frozen=True, kw_only=True):
    """A lock wanted or held. `object` as the source names it: a table, a row of an index, a transaction.

    `place` is the row behind it where the source tells that of the victim alone (PostgreSQL): it is no
    part of the fingerprint, which would then depend on who lost.
    """

    object: str
    mode: str = ""
    place: str = ""


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """One session of the cycle; it waits for the next participant. None where the source does not tell."""

    session: int
    user: str | None = None
    database: str | None = None
    application: str | None = None
    client: str | None = None
    statement: str | None = None
    wants: LockRef | None = None
    holds: tuple[LockRef, ...] = ()
    victim: bool = False


class Deadlock(msgspec.Struct, frozen=True, kw_only=True):
    """One deadlock. `participants` are in the order of the cycle. `source` is where it was read.

    Without participants only its time is known (the server kept no more of it). `ident` is what tells
    it from every other one of the same server, so that two sources of one deadlock are counted once.
    """

    at: datetime
    source: str
    ident: str
    participants: tuple[Participant, ...] = ()

    @property
    def victim(self) -> Participant | None:
        return next((one for one in self.participants if one.victim), None)

    @property
    def fingerprint(self) -> str:
        """Equal for deadlocks of the same statements wanting the same locks; 10 hex digits.

        Over the sorted set of (statement without literals, mode, object without numbers).
        """
        parts = sorted({_shape(one) for one in self.participants})
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:10] if parts else "unknown"


class DeadlockHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the deadlocks of a server, newest first.

    `counted` is the server's own counter and `counted_since` when that began, None where unknown.
    `missed` are deadlocks that the counter showed and no source described. `notes` say what cannot be
    seen here and exactly what would change that.
    """

    deadlocks: tuple[Deadlock, ...] = ()
    counted: int | None = None
    counted_since: datetime | None = None
    missed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def happened(self) -> int:
        """How many are known of, by description or by the counter alone; grows with each new one."""
        return max(len(self.deadlocks) + self.missed, self.counted or 0)

    @property
    def counts(self) -> Counter[str]:
        """How often each fingerprint occurs."""
        return Counter(one.fingerprint for one in self.deadlocks)


def merged(known: Iterable[Deadlock], found: Iterable[Deadlock], *, keep: int = 1000) -> tuple[Deadlock, ...]:
    """Each once, newest first; of two with one `ident` the one that tells more stays."""
    by_ident: dict[str, Deadlock] = {}
    for one in (*known, *found):
        before = by_ident.get(one.ident)
        if before is None or len(one.participants) > len(before.participants):
            by_ident[one.ident] = one
    return tuple(sorted(by_ident.values(), key=lambda one: (one.at, one.ident), reverse=True)[:keep])


# ---- shapes ------------------------------------------------------------------------------------

_LITERALS = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"(?=\s*[,)=<>]|$)|\b\d[\w.]*\b")
_LISTS = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")
_BLANK = re.compile(r"\s+")
_NUMBERS = re.compile(r"'(?:[^']|'')*'|0x[0-9a-f]+|\d+")  # the keys of rows, text ones too


def statement_shape(sql: str) -> str:
    """A statement without literals, comments' numbers and spacing: what one code path sends each time."""
    plain = _LITERALS.sub("?", _BLANK.sub(" ", sql)).strip()
    return _LISTS.sub("(?)", plain).casefold()


def _shape(one: Participant) -> tuple[str, str, str]:
    wants = one.wants or LockRef(object="")
    return statement_shape(one.statement or ""), wants.mode, _NUMBERS.sub("#", wants.object)


def inversion(participants: Sequence[Participant]) -> tuple[str, ...]:
    """The lock order in words, a line a participant: what it held, and what it wanted of the next one."""
    lines = []
    for place, one in enumerate(participants):
        after = participants[(place + 1) % len(participants)]
        wanted = _named(one.wants) if one.wants else "a lock"
        held = ", ".join(_named(ref) for ref in one.holds) or "what the one before it wants"
        end = "; it was rolled back" if one.victim else ""
        lines.append(f"session {one.session} held {held} and wanted {wanted} of session {after.session}{end}")
    return tuple(lines)


def _named(ref: LockRef) -> str:
    where = f"{ref.place} ({ref.object})" if ref.place else ref.object
    return f"{ref.mode} on {where}" if ref.mode else where
