"""What a comparison of a server with the ledger found, as cells, lines and a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from console.audit.effects import Told
from console.model.effects import Comparison, Finding, How, Standing
from console.present.table import Column, Line, Tone
from console.present.units import clean

SCHEMA = "dbdeck/audit-compare/1"
COLUMNS = (
    Column(title="at (UTC)", width=22),
    Column(title="standing", width=10),
    Column(title="what", width=30, least=20, grow=True),
    Column(title="who", width=30, least=12, drop=1),
    Column(title="declared by", width=24, least=12, drop=2),
)
_TONES = {Standing.UNDECLARED: Tone.BAD, Standing.UNCLEAR: Tone.WARN, Standing.DECLARED: Tone.MUTED}


def empty(target: str) -> str:
    return f"No look at this target was recorded: `dbdeck audit compare -t {target}` takes the first."


def lines(found: Comparison) -> list[Line]:
    return [_line(one, str(place)) for place, one in enumerate(found.findings)]


def _line(one: Finding, key: str) -> Line:
    cells = (when(one), str(one.standing), what(one), clean(one.who, 120), declared_by(one))
    return Line(key=key, cells=cells, tone=_TONES[one.standing])


def when(one: Finding) -> str:
    """Its time, or that it was between two looks."""
    return f"{one.at:%Y-%m-%d %H:%M:%S}" if one.at else f"before {one.until:%m-%d %H:%M:%S}"


def what(one: Finding) -> str:
    """`role app changed: login -> login, superuser`, with what went along and what is to be said of it."""
    values = ""
    if one.how is How.CHANGED and (one.before or one.after):
        values = f": {one.before or 'nothing'} -> {one.after or 'nothing'}"
    elif one.after or one.before:
        values = f": {one.after or one.before}"
    along = f" (with it {', '.join(one.with_it)})" if one.with_it else ""
    why = f"; {one.why}" if one.why else ""
    return clean(f"{one.kind} {one.name} {one.how}{values}{along}{why}", 600)


def declared_by(one: Finding) -> str:
    if not one.action_id:
        return ""
    more = f", or {one.others} more" if one.others else ""
    end = ", end unknown" if one.open else ""
    return clean(f"{one.action} {one.action_id[:8]}{end}{more}", 120)


def verdict(found: Comparison) -> tuple[str, Tone]:
    """The whole in a line."""
    if found.since is None:
        return f"{found.target}: the first look was recorded, and the next is compared with it", Tone.NOTICE
    count = {standing: len(found.of(standing)) for standing in Standing}
    words = (
        f"{found.target}, {found.since:%Y-%m-%d %H:%M:%S} to {found.until:%Y-%m-%d %H:%M:%S} UTC: "
        f"{count[Standing.UNDECLARED]} undeclared, {count[Standing.UNCLEAR]} unclear, "
        f"{count[Standing.DECLARED]} declared"
    )
    return words, Tone.BAD if count[Standing.UNDECLARED] else Tone.GOOD


def remarks(found: Comparison) -> list[str]:
    """What is not known, and what would change that."""
    return unknown(found.unseen.items(), found.notes)


def unknown(unseen: Iterable[tuple[str, str]], notes: Iterable[str]) -> list[str]:
    said = [f"{kind}: unknown: {why}" for kind, why in sorted(unseen)]
    return [clean(one, 600) for one in (*notes, *said)]


def document(found: Comparison) -> dict[str, Any]:
    """`audit compare --json`."""
    return {
        "schema": SCHEMA,
        "target": found.target,
        "since": found.since,
        "until": found.until,
        "undeclared": len(found.of(Standing.UNDECLARED)),
        "unclear": len(found.of(Standing.UNCLEAR)),
        "declared": len(found.of(Standing.DECLARED)),
        "rows": [row(one) for one in found.findings],
        "unknown": dict(found.unseen),
        "notes": list(found.notes),
    }


def row(one: Finding) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _FIELDS}


_FIELDS = Finding.__struct_fields__


# ---- what was found before: the view of the console ---------------------------------------------------


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of a recorded look, or (`finding` None) the look itself."""

    key: str
    told_at: datetime
    finding: Finding | None
    since: datetime | None
    declared: int
    found: int
    notes: tuple[str, ...]


def items(told: Sequence[Told]) -> list[Item]:
    """The newest look first, and below each what it found."""
    made = []
    for one in told:
        notes = tuple(unknown(one.unseen.items(), one.notes))
        for place, finding in enumerate((None, *one.findings)):
            made.append(
                Item(
                    key=f"{one.entry.id}.{place}",
                    told_at=one.entry.at,
                    finding=finding,
                    since=one.since,
                    declared=one.declared,
                    found=len(one.findings),
                    notes=notes,
                )
            )
    return made


def item_lines(found: Sequence[Item]) -> list[Line]:
    return [_line(one.finding, one.key) if one.finding else _look(one) for one in found]


def _look(one: Item) -> Line:
    said = (
        "the first look"
        if one.since is None
        else f"looked: {one.found} not declared, {one.declared} declared"
    )
    unknown = f"; remarks: {len(one.notes)}" if one.notes else ""
    cells = (f"{one.told_at:%Y-%m-%d %H:%M:%S}", "look", said + unknown, "", "")
    return Line(key=one.key, cells=cells, tone=Tone.NOTICE)


def item_details(one: Item) -> list[str]:
    if one.finding is None:
        since = (
            "nothing: it was the first" if one.since is None else f"that of {one.since:%Y-%m-%d %H:%M:%S} UTC"
        )
        return [f"compared with {since}", *one.notes]
    found = one.finding
    span = f"between {found.since:%Y-%m-%d %H:%M:%S} and {found.until:%Y-%m-%d %H:%M:%S} UTC"
    told = [what(found), span if found.at is None else f"at {found.at:%Y-%m-%d %H:%M:%S} UTC"]
    told += [f"by {clean(found.who)}"] if found.who else ["who it was the server does not tell"]
    return told


def item_rows(found: Sequence[Item]) -> list[dict[str, Any]]:
    return [{"told_at": one.told_at, **row(one.finding)} for one in found if one.finding is not None]


def summary(found: Sequence[Item]) -> str:
    findings = [one.finding for one in found if one.finding is not None]
    undeclared = sum(1 for one in findings if one.standing is Standing.UNDECLARED)
    looks = len(found) - len(findings)
    if not looks:
        return "nobody has looked yet"
    return f"undeclared in the last looks ({looks}): {undeclared}; dbdeck audit compare looks anew"
