"""Deadlocks as cells, as a drawing of the cycle, and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from console.model.deadlocks import Deadlock, DeadlockHistory, LockRef, Participant, inversion
from console.present.sessions import text
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, clean, count

COLUMNS = (
    Column(title="time", width=19),
    Column(title="of", width=3, align="right"),
    Column(title="victim", width=8, align="right"),
    Column(title="times", width=5, align="right"),
    Column(title="kind", width=10, drop=2),
    Column(title="user", width=10, drop=3),
    Column(title="wanted", width=30, drop=1),
    Column(title="statement rolled back", width=20, grow=True),
)


def lines(history: DeadlockHistory) -> list[Line]:
    counts = history.counts
    return [_line(one, counts[one.fingerprint]) for one in history.deadlocks]


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _line(one: Deadlock, times: int) -> Line:
    victim = one.victim
    known = bool(one.participants)
    return Line(
        key=one.ident,
        cells=(
            moment(one.at),
            str(len(one.participants)) if known else UNKNOWN,
            str(victim.session) if victim else UNKNOWN,
            count(times) if known else "",
            one.fingerprint,
            text(victim.user) if victim else "",
            _lock(victim.wants) if victim and victim.wants else "",
            clean(victim.statement or "", 1000)
            if victim
            else f"(only its time is known: {clean(one.source)})",
        ),
        tone=Tone.NORMAL if known else Tone.MUTED,
    )


def moment(at: datetime) -> str:
    """Seconds, in UTC as everything dbdeck writes."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _lock(ref: LockRef) -> str:
    return clean(f"{ref.mode} on {ref.object}" if ref.mode else ref.object, 300)


def summary(history: DeadlockHistory) -> str:
    said = []
    if history.deadlocks:
        kinds = len(history.counts)
        said.append(f"{len(history.deadlocks)} known, of {kinds} {'kind' if kinds == 1 else 'kinds'}")
    if history.counted is not None:
        since = f" since {moment(history.counted_since)}" if history.counted_since else ""
        said.append(f"the server counted {count(history.counted)}{since}")
    if history.missed:
        said.append(f"{count(history.missed)} more happened that nothing describes")
    return " · ".join(said) or "no deadlock is known"


def alarm(history: DeadlockHistory, new: int) -> str:
    """What to call out when some happened since the last look."""
    latest = history.deadlocks[0].victim if history.deadlocks else None
    who = f"; the last victim is session {latest.session} {text(latest.user)}".rstrip() if latest else ""
    return f"{new} {'deadlock' if new == 1 else 'deadlocks'} just happened{who}"


def first_note(history: DeadlockHistory) -> str:
    return clean(next(iter(notes(history)), ""), 300)


def cycle(one: Deadlock) -> list[str]:
    """A drawing: each wants a lock that the one below holds, and the last wants one of the first.

    The frame at the left is the arrow back.
    """
    if not one.participants:
        return []
    drawn = []
    for place, each in enumerate(one.participants):
        frame = "┌▶" if place == 0 else "│ "
        drawn.append(f"{frame} {_who(each)}")
        drawn.append(f"│     wants {_lock(each.wants) if each.wants else 'a lock'}, held by")
    drawn.append(f"└── {one.participants[0].session}")
    return drawn


def _who(each: Participant) -> str:
    where = [word for word in (each.user, each.application, each.client) if word]
    fate = "  ✗ rolled back" if each.victim else ""
    return f"{each.session} {clean(' '.join(where), 200)}{fate}".rstrip()


def details(history: DeadlockHistory, one: Deadlock) -> list[str]:
    """The drawing, the lock order in words, and what each ran."""
    head = f"{moment(one.at)} UTC · kind {one.fingerprint}, seen {_times(history.counts[one.fingerprint])} · "
    said = [f"{head}read from the {clean(one.source, 200)}", *cycle(one)]
    if one.participants:
        said += ["", "the lock order:"]
        said += [f"  {clean(line, 500)}" for line in inversion(one.participants)]
        said += [
            f"  {each.session}: {clean(each.statement, 1000)}" for each in one.participants if each.statement
        ]
    return said + [f"note: {clean(note, 500)}" for note in history.notes]


def document(history: DeadlockHistory) -> list[dict[str, Any]]:
    """Rows of `show deadlocks --json`, newest first; `victim` is a session id."""
    counts = history.counts
    return [
        {
            "at": one.at,
            "fingerprint": one.fingerprint,
            "count": counts[one.fingerprint],
            "victim": one.victim.session if one.victim else None,
            "source": one.source,
            "participants": [_participant(each) for each in one.participants],
            "order": list(inversion(one.participants)),
        }
        for one in history.deadlocks
    ]


def _participant(each: Participant) -> dict[str, Any]:
    return {
        "session": each.session,
        "user": each.user,
        "database": each.database,
        "application": each.application,
        "client": each.client,
        "statement": each.statement,
        "wants": _reference(each.wants),
        "holds": [_reference(ref) for ref in each.holds],
        "victim": each.victim,
    }


def _reference(ref: LockRef | None) -> dict[str, str] | None:
    return None if ref is None else {"mode": ref.mode, "object": ref.object}


def beside(history: DeadlockHistory) -> dict[str, Any]:
    """What the document says besides its rows."""
    return {
        "counted": history.counted,
        "counted_since": history.counted_since,
        "missed": history.missed,
        "notes": list(history.notes),
    }


def notes(history: DeadlockHistory) -> Iterable[str]:
    missed = f"{history.missed} more deadlocks happened that nothing describes" if history.missed else ""
    return [*([missed] if missed else []), *history.notes]
