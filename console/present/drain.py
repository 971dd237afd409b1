"""The drain board as cells, words and rows of a document. Nothing here has ever seen a password."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from console.model.drain import Group
from console.model.drain_board import DrainBoard, Draining, Kept, next_to_end
from console.present.sessions import reference, state
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean
from console.secrets import PENDING, PREVIOUS

COLUMNS = (
    Column(title="account", width=20, least=12),
    Column(title="rotated", width=8, align="right"),
    Column(title="rotation", width=8, drop=3),
    Column(title="overlap", width=7, drop=2),
    Column(title="before", width=6, align="right"),
    Column(title="since", width=5, align="right", drop=1),
    Column(title="what is left to do", width=20, grow=True),
)
SHORT = 8
LISTED = 200
EMPTY = "no old password is kept or valid"


def lines(board: DrainBoard) -> list[Line]:
    return [_line(one, board.now) for one in board.accounts]


def _line(one: Draining, now: datetime | None) -> Line:
    return Line(
        key=one.user,
        cells=(
            clean(one.user, 200),
            since(one.rotated_at, now),
            short(one.kept.rotation if one.kept else ""),
            overlap(one),
            number(one.seen.older),
            number(one.seen.newer),
            left(one),
        ),
        tone=tone(one),
    )


def since(moment: datetime | None, now: datetime | None) -> str:
    return UNKNOWN if moment is None or now is None else age((now - moment).total_seconds())


def short(rotation: str) -> str:
    return clean(rotation, 200)[:SHORT]


def overlap(one: Draining) -> str:
    return UNKNOWN if one.overlap is None else "yes" if one.overlap else "no"


def number(found: int | None) -> str:
    return UNKNOWN if found is None else str(found)


def left(one: Draining) -> str:
    """In a few words; `details` has the command."""
    if one.gone:
        return "the account is gone: remove its entries"
    if one.pending is not None:
        return "broke off: go on"
    if one.seen.drained:
        return "drained: retire"
    if one.seen.older is None:
        return f"{UNKNOWN}: {why_unknown(one)}"
    return f"{one.seen.older} to go"


def why_unknown(one: Draining) -> str:
    if one.kept is None:
        return "the keyring is not read"
    if not one.kept.rotation or one.seen.rotated_at is None:
        return "no rotation is known"
    return "sessions may not be seen"


def tone(one: Draining) -> Tone:
    if one.gone:
        return Tone.NOTICE
    if one.pending is not None:
        return Tone.BAD
    if one.seen.drained:
        return Tone.GOOD
    return Tone.NOTICE if one.seen.older is None else Tone.WARN


def command(one: Draining, target: str) -> str:
    """What a person runs next; empty where that is to wait, or to find out."""
    if one.gone:
        return " && ".join(f"dbdeck secret remove {shlex.quote(name)}" for name in _entries_of(one))
    on = f"-t {shlex.quote(target)}"
    account = shlex.quote(f"account={one.user}")
    if one.pending is not None:
        if one.action:
            return f"dbdeck apply --resume {one.action} {on}"
        if one.paired:
            return f"dbdeck apply --resume ID {on}"
        known = f" rotation={one.pending}" if one.pending else ""
        return f"dbdeck apply credential.rotate {on} {account}{known}"
    return f"dbdeck apply credential.retire {on} {account}" if one.seen.drained else ""


def _entries_of(one: Draining) -> list[str]:
    kept = one.kept or Kept()
    ends = (("", kept.current), (PREVIOUS, kept.previous), (PENDING, kept.pending is not None))
    return [one.gone + end for end, there in ends if there]


def summary(board: DrainBoard) -> str:
    if not board.accounts:
        known = board.problem is None and not board.unknown
        return EMPTY if known else f"{EMPTY}, as far as is known"
    many = len(board.accounts)
    said = [f"{many} account{'s' if many > 1 else ''} to finish"]
    older = sum(one.seen.older or 0 for one in board.accounts)
    figures = (
        (sum(1 for one in board.accounts if one.pending is not None and not one.gone), "broke off"),
        (sum(1 for one in board.accounts if one.ready), "drained"),
        (older, f"session{'s' if older > 1 else ''} from before"),
        (sum(1 for one in board.accounts if one.seen.older is None and not one.gone), "unknown"),
        (sum(1 for one in board.accounts if one.gone), "whose account is gone"),
    )
    return ", ".join(said + [f"{found} {word}" for found, word in figures if found])


def details(board: DrainBoard, one: Draining, target: str) -> list[tuple[str, str]]:
    """Everything about one account, label and value."""
    pairs = [
        ("account", ", ".join(clean(host, 200) for host in one.hosts) or clean(one.user, 200)),
        (
            "gone",
            "the server has no such account any more: nothing there is to be retired" if one.gone else "",
        ),
        ("rotated", _rotated(one, board.now)),
        ("overlap", _overlap(one) if not one.gone else ""),
        ("turn", _turn(one)),
        ("broke off", _broke_off(one) if not one.gone else ""),
        ("before", _before(one) if not one.gone else ""),
        *(("", group(found, board.now)) for found in one.seen.groups),
        ("since", _since(one)),
        ("first", _first(one)),
        ("next", clean(command(one, target)) or _wait(one)),
    ]
    return [(word, value) for word, value in pairs if value]


def _first(one: Draining) -> str:
    if one.gone or one.pending is None:
        return ""
    return "`dbdeck audit reconcile`, where its end is not known"


def _rotated(one: Draining, now: datetime | None) -> str:
    if one.rotated_at is None:
        return f"{UNKNOWN}: when is not known"
    said = f"{one.rotated_at:%Y-%m-%d %H:%M:%S} UTC, {since(one.rotated_at, now)} ago"
    if one.seen.rotated_at is not None and one.kept is not None:
        return f"{said}, by rotation {short(one.kept.rotation)}"
    return f"{said}, by the server's date of the password; by which rotation is not known"


def _overlap(one: Draining) -> str:
    if one.kept is not None and one.kept.turn_over:
        return f"{clean(one.kept.turn_over, 100)} may {'still' if one.overlap else 'not'} log in"
    if one.pending is not None and not one.overlap:
        return "the server takes one password, the current or the pending one"
    valid = {True: "the server takes both passwords", False: "the server takes the new password only"}
    said = valid.get(one.overlap, f"{UNKNOWN}: whether the server takes two may not be seen")  # type: ignore[arg-type]
    if one.kept is None:
        return f"{said}; whether the old one is kept is unknown"
    return f"{said}; the old one is {'kept' if one.kept.previous else 'not kept'}"


def _turn(one: Draining) -> str:
    kept = one.kept
    if kept is None or not kept.turn_over:
        return ""
    return (
        f"{clean(kept.turn, 100)} logs in now; whoever is logged in as {clean(kept.turn_over, 100)} is left"
    )


def _broke_off(one: Draining) -> str:
    if one.pending is None:
        return ""
    whose = f"of rotation {short(one.pending)}" if one.pending else "that was stored by hand"
    return f"a pending password {whose} is kept; the server has it or not, and a login tells which"


def _before(one: Draining) -> str:
    if one.seen.older is None:
        return f"{UNKNOWN} sessions: {why_unknown(one)}"
    return f"{one.seen.older} sessions began before it" if one.seen.older else "nobody is left from before"


def _since(one: Draining) -> str:
    if one.seen.newer is None:
        return ""
    both = ", and may have used either" if one.overlap is not False and one.seen.newer else ""
    return f"{one.seen.newer} sessions began since{both}"


def _wait(one: Draining) -> str:
    if one.seen.older is None:
        return ""
    proposed = next_to_end(one.seen)
    if proposed is None:
        return "wait: none of them may be ended from here"
    return f"wait, or end session {proposed.id} first: {state(proposed)}"


def group(one: Group, now: datetime | None) -> str:
    oldest = f", the oldest for {since(one.oldest, now)}" if one.oldest is not None else ""
    whose = clean(one.application, 100) or "no application name"
    return f"{one.sessions} of {whose} at {clean(one.client, 100) or UNKNOWN}{oldest}"


def document(board: DrainBoard) -> list[dict[str, Any]]:
    """Rows of `show drain --json`, in the order of the view; null is unknown."""
    return [_row(one) for one in board.accounts]


def _row(one: Draining) -> dict[str, Any]:
    kept = one.kept
    return {
        "account": one.user,
        "hosts": list(one.hosts),
        "turn": kept.turn or None if kept else None,
        "turn_over": kept.turn_over or None if kept else None,
        "rotated_at": one.seen.rotated_at,
        "changed_at": one.changed_at,
        "rotation": kept.rotation or None if kept else None,
        "overlap": one.overlap,
        "previous": kept.previous if kept else None,
        "pending": kept.pending is not None if kept else None,
        "pending_rotation": one.pending or None,
        "action_id": one.action or None,
        "gone": bool(one.gone),
        "before": one.seen.older,
        "since": one.seen.newer,
        "drained": None if one.seen.older is None else one.ready,
        "groups": [
            {"client": found.client or None, "application": found.application or None,
             "sessions": found.sessions, "oldest": found.oldest}
            for found in one.seen.groups
        ],
        "sessions": [reference(session) for session in one.seen.left[:LISTED]],
    }  # fmt: skip


def beside(board: DrainBoard) -> dict[str, Any]:
    found: dict[str, Any] = {"server_time": board.now, "store": board.store or None}
    return found | {"overlap_unknown": board.unknown, "notes": list(board.notes)}


def notes(board: DrainBoard) -> Iterable[str]:
    if board.problem is not None:
        yield f"what the keyring keeps is unknown: {board.problem.message}. {board.problem.hint}".rstrip(". ")
    if board.unknown:
        yield f"of {board.unknown} accounts it is unknown whether two passwords are valid"
    yield from board.notes
