"""The cleanup horizon as cells, as a sentence, and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.model.horizon import Holder, HolderKind, Horizon
from console.present.sessions import reference, statement, text
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, count, counted, size

COLUMNS = (
    Column(title="behind", width=6, align="right"),
    Column(title="since", width=6, align="right"),
    Column(title="kind", width=20),
    Column(title="holder", width=26),
    Column(title="pins", width=26, drop=2),
    Column(title="what ends it", width=20, grow=True),
)


def lines(horizon: Horizon) -> list[Line]:
    return [_line(one, place) for place, one in enumerate(horizon.holders)]


def _line(one: Holder, place: int) -> Line:
    return Line(
        key=one.key,
        cells=(
            UNKNOWN if one.age is None else count(one.age),
            UNKNOWN if one.seconds is None else age(one.seconds),
            str(one.kind),
            clean(one.name, 200),
            clean(one.scope, 200),
            clean(one.remedy, 400),
        ),
        tone=Tone.BAD if place == 0 and not _fresh(one) else Tone.NORMAL,
    )


_FRESH_SECONDS = 60.0


def _fresh(one: Holder) -> bool:
    """Every running statement holds the horizon for a moment: that is no trouble."""
    lasting = one.kind in (HolderKind.SLOT, HolderKind.PREPARED, HolderKind.STANDBY)
    return not lasting and one.seconds is not None and one.seconds < _FRESH_SECONDS


def summary(horizon: Horizon) -> str:
    """One line: who holds what back, and how much waits for it."""
    if not horizon.holders:
        return f"nothing holds cleanup back{_waiting(horizon)}"
    first = horizon.holders[0]
    since = "" if first.seconds is None else f" for {age(first.seconds)}"
    far = "" if first.age is None else f", {count(first.age)} transaction{'' if first.age == 1 else 's'} back"
    return f"{first.kind} {clean(first.name, 80)} holds cleanup back{since}{far}{_waiting(horizon)}"


def _waiting(horizon: Horizon) -> str:
    said = []
    if horizon.history_length is not None:
        said.append(f"history list {count(horizon.history_length)}")
    if horizon.undo_bytes is not None:
        said.append(f"undo {size(horizon.undo_bytes)}")
    pinned = [one for one in horizon.uncleaned if one.pinned]
    if pinned:
        dead = count(sum(one.dead_rows for one in pinned))
        said.append(f"{dead} dead rows in {counted(len(pinned), 'vacuumed table')} cannot be removed")
    return "".join(f" · {one}" for one in said)


def details(horizon: Horizon, one: Holder) -> list[tuple[str, str]]:
    session = one.session
    pairs = [
        ("holder", f"{one.kind} {clean(one.name, 300)}"),
        ("pins", clean(one.scope, 300)),
        ("read by", " ".join(clean(word, 200) for word in (one.consumer, one.address) if word)),
        ("session", _session(one)),
        ("statement", statement(session) if session else ""),
        ("ends it", clean(one.remedy, 500)),
        ("waiting", _tables(horizon)),
    ]
    notes = [("unknown", clean(note, 500)) for note in horizon.notes]
    return [(label, value) for label, value in pairs if value] + notes


def _session(one: Holder) -> str:
    session = one.session
    if session is None:
        return ""
    where = f"{text(session.user)} @ {text(session.client)} in {text(session.database)}"
    parts = (f"{session.id} {where}", text(session.application), str(session.state))
    return ", ".join(one for one in parts if one)


def _tables(horizon: Horizon) -> str:
    named = [
        f"{clean(one.table, 100)} {count(one.dead_rows)}{' (vacuumed in vain)' if one.pinned else ''}"
        for one in horizon.uncleaned
    ]
    return f"dead rows: {', '.join(named)}" if named else ""


def document(horizon: Horizon) -> list[dict[str, Any]]:
    """Rows of `show horizon --json`, the oldest holder first; null is unknown."""
    return [
        {
            "kind": one.kind,
            "name": one.name,
            "age": one.age,
            "seconds": one.seconds,
            "scope": one.scope,
            "session": reference(one.session) if one.session else None,
            "user": one.session.user if one.session else None,
            "query": one.session.query if one.session else None,
            "consumer": one.consumer,
            "address": one.address,
            "remedy": one.remedy,
        }
        for one in horizon.holders
    ]


def beside(horizon: Horizon) -> dict[str, Any]:
    """What the document says besides its rows."""
    return {
        "age": horizon.age,
        "history_length": horizon.history_length,
        "undo_bytes": horizon.undo_bytes,
        "uncleaned": [
            {
                "table": one.table,
                "dead_rows": one.dead_rows,
                "since_vacuum": one.since_vacuum,
                "pinned": one.pinned,
            }
            for one in horizon.uncleaned
        ],
        "notes": list(horizon.notes),
    }


def notes(horizon: Horizon) -> Iterable[str]:
    return horizon.notes
