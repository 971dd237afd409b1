"""What the ledger knows of doing the same to the same client before: whether it helped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.dispatch.action import Piece, Plan
from console.errors import DbdeckError

LOOK_BACK = timedelta(days=1)
ROWS = 400
EVIDENCE_ROWS = 1000
FEW = 4


async def before(ledger: Ledger, plan: Plan) -> tuple[str, ...]:
    """Forecast lines from the last rows of the ledger; none where this login may not read it."""
    if not plan.likeness:
        return ()
    try:
        entries = await ledger.entries(limit=ROWS, kinds=(Kind.INTENT, Kind.OUTCOME))
    except DbdeckError:
        return ()
    return told(plan, entries)


async def evidence(
    ledger: Ledger, action: str, target: str | None = None, *, settled: bool = False
) -> Sequence[dict[str, Any]]:
    """What the outcomes of an action told, on a target or on all, the newest first; `settled`: what was found
    of those that had none, too.

    Raises AuditUnavailable, and PrivilegeMissing for a login that may only write.
    """
    found = []
    kinds = (Kind.OUTCOME, Kind.RESOLVED) if settled else (Kind.OUTCOME,)
    entries = await ledger.entries(limit=EVIDENCE_ROWS, kinds=kinds, containing=f'"{action}"')
    for entry in entries:
        body = fields(entry.body)
        verified = body.get("verify")
        seen = verified.get("evidence") if isinstance(verified, dict) else None
        fits = body.get("action") == action and target in (None, body.get("target"))
        if fits and isinstance(seen, dict):
            about = {"target": body.get("target"), "action_id": str(entry.action_id)}
            found.append({**seen, **about, "ended_at": entry.at.isoformat()})
    return found


class Earlier(NamedTuple):
    """A run that did all of it, a part, or nobody knows what: `status`, by its outcome or settling."""

    at: datetime
    operator: str
    action_id: str
    status: str


async def earlier(
    ledger: Ledger, action: str, target: str, pieces: Collection[str]
) -> Mapping[str, Sequence[Earlier]]:
    """By piece of text the runs of the action on this target whose intent has it, the newest first; not those
    that did nothing, nor those that are open, by which the action is frozen.

    One search of all intents, whatever the number of pieces; how they ended is found by their ids. Raises
    AuditUnavailable, and PrivilegeMissing for a login that may only write.
    """
    meant = await ledger.entries(kinds=(Kind.INTENT,), containing=f'"action":"{action}"')
    mine = [one for one in meant if _is_of(fields(one.body), action, target)]
    wanted = {piece: [one.action_id for one in mine if piece in (one.body or "")] for piece in pieces}
    ends = {number: await _end(ledger, number) for number in {one for ids in wanted.values() for one in ids}}
    return {piece: _newest([ends[number] for number in ids]) for piece, ids in wanted.items() if ids}


async def _end(ledger: Ledger, action_id: UUID) -> Earlier | None:
    """Its outcome, or what settled it later; None for one that is open."""
    ends = await ledger.entries(limit=1, action_id=action_id, kinds=(Kind.OUTCOME, Kind.RESOLVED))
    return _ended(ends[0]) if ends else None


def _newest(ends: Iterable[Earlier | None]) -> list[Earlier]:
    """Of those that did something."""
    found = [one for one in ends if one is not None and one.status not in _NOTHING]
    return sorted(found, key=lambda one: one.at, reverse=True)


_NOTHING = ("no_op", "failed", "not_applied")


def _is_of(body: Mapping[str, object], action: str, target: str) -> bool:
    return (body.get("action"), body.get("target")) == (action, target)


def _ended(entry: Entry) -> Earlier:
    body = fields(entry.body)
    return Earlier(entry.at, str(body.get("operator") or ""), str(entry.action_id), str(body.get("status")))


def told(plan: Plan, entries: Iterable[Entry]) -> tuple[str, ...]:
    """How earlier actions of the same likeness on the same target ended, in one line; pure."""
    since = plan.made_at - LOOK_BACK
    intents: dict[UUID, datetime] = {}
    ends: dict[UUID, Mapping[str, object]] = {}
    for entry in entries:
        if entry.at < since or entry.action_id is None:
            continue
        body = fields(entry.body)
        if entry.kind == Kind.OUTCOME:
            ends[entry.action_id] = body
        elif _alike(plan, body):
            intents[entry.action_id] = entry.at
    done = [number for number in intents if _applied(ends.get(number))]
    if not done:
        return ()
    back = sum(1 for number in done if _came_back(ends[number]))
    latest = max(intents[number] for number in done)
    times = "once" if len(done) == 1 else f"{len(done)} times"
    said = f"it came back {back} of {len(done)} times" if back else "it was not seen to come back then"
    return (f"the same was done {times} in the last day, last at {latest:%H:%M:%S} UTC: {said}",)


async def actions_of(ledger: Ledger, target: str, rotations: Collection[str]) -> dict[str, str]:
    """The last action of each rotation, rotation id -> action id: what `--resume` takes.

    The last rows are looked at first, and then the whole ledger for each that is not among them. Raises
    AuditUnavailable, and PrivilegeMissing for a login that may only write.
    """
    wanted = set(rotations)
    found = _named(await ledger.entries(limit=ROWS, kinds=(Kind.INTENT,)), target, wanted)
    for rotation in sorted(wanted - found.keys()):
        rows = await ledger.entries(kinds=(Kind.INTENT,), containing=f'"rotation":"{rotation}"')
        found |= _named(rows, target, {rotation})
    return found


def _named(entries: Iterable[Entry], target: str, wanted: Collection[str]) -> dict[str, str]:
    """Newest first: the last action of a rotation that was resumed is the one to go on with."""
    found: dict[str, str] = {}
    for entry in entries:
        body = fields(entry.body)
        if body.get("target") != target or entry.action_id is None:
            continue
        for rotation in _rotations(body) & set(wanted):
            found.setdefault(rotation, str(entry.action_id))
    return found


def _rotations(body: Mapping[str, object]) -> set[str]:
    subject = body.get("subject")
    accounts = subject.get("accounts") if isinstance(subject, dict) else None
    return {str(one["rotation"]) for one in accounts or () if isinstance(one, dict) and one.get("rotation")}


def _alike(plan: Plan, body: Mapping[str, object]) -> bool:
    kept = body.get("plan")
    likeness = kept.get("likeness") if isinstance(kept, dict) else None
    return body.get("target") == plan.target and likeness == plan.likeness


def _applied(body: Mapping[str, object] | None) -> bool:
    return body is not None and body.get("status") in ("applied", "partial")


def _came_back(body: Mapping[str, object]) -> bool:
    verdict = body.get("verify")
    evidence = verdict.get("evidence") if isinstance(verdict, dict) else None
    return isinstance(evidence, dict) and bool(evidence.get("came_back"))


# ---- how long it took --------------------------------------------------------------------------


class Took(NamedTuple):
    """One piece of work as an outcome row tells of it: seconds, bytes then, and when."""

    seconds: float
    bytes: int | None
    at: datetime


async def timed(ledger: Ledger, plan: Plan) -> Plan:
    """The plan with the time each piece took when it was done last, and a line that sums it up."""
    if not plan.pieces:
        return plan
    try:
        known = await _known(ledger, plan)
    except DbdeckError:
        return plan
    pieces = tuple(
        msgspec.structs.replace(piece, seconds=scaled(known.get(_work(piece)), piece.bytes))
        for piece in plan.pieces
    )
    line = expected(pieces, known)
    return msgspec.structs.replace(plan, pieces=pieces, forecast=(*plan.forecast, line))


async def _known(ledger: Ledger, plan: Plan) -> dict[str, Took]:
    """From as few rows as it takes: those of many objects are long. Raises as `Ledger.entries`."""
    known: dict[str, Took] = {}
    for rows in (FEW, ROWS):
        entries = await ledger.entries(limit=rows, kinds=(Kind.OUTCOME,))
        known = taken(plan.target, entries, plan.pieces)
        if len(entries) < rows or all(_work(piece) in known for piece in plan.pieces):
            break
    return known


def _work(piece: Piece) -> str:
    return f"{piece.action} {piece.subject}"


def taken(target: str, entries: Iterable[Entry], wanted: Sequence[Piece] = ()) -> dict[str, Took]:
    """By `verb subject`, the newest first; until all that are wanted are known, where any are. Pure."""
    found: dict[str, Took] = {}
    verbs = {f'"verb":{msgspec.json.encode(piece.action).decode()}' for piece in wanted}
    for entry in entries:
        if verbs and not any(verb in (entry.body or "") for verb in verbs):
            continue  # of something else: rows of many objects take long to read
        for one in _objects(entry, target):
            took = Took(float(one.get("seconds") or 0.0), one.get("bytes"), entry.at)
            found.setdefault(f"{one.get('verb')} {one.get('subject')}", took)
        if wanted and all(_work(piece) in found for piece in wanted):
            break
    return found


def _objects(entry: Entry, target: str) -> list[dict[str, Any]]:
    """What an outcome row says of each object that was done on this target."""
    body = fields(entry.body)
    verdict = body.get("verify")
    evidence = verdict.get("evidence") if isinstance(verdict, dict) else None
    if body.get("target") != target or not isinstance(evidence, dict):
        return []
    return [
        one for one in evidence.get("objects") or () if isinstance(one, dict) and one.get("end") == "done"
    ]


def scaled(took: Took | None, size: int | None) -> float | None:
    """Seconds it would take now, as its size grew since; None when it was never done."""
    if took is None:
        return None
    if not took.bytes or not size:
        return took.seconds
    return took.seconds * size / took.bytes


def expected(pieces: Sequence[Piece], known: Mapping[str, Took]) -> str:
    """One line on the time it will take, and on how many of the pieces that rests."""
    told = [piece.seconds for piece in pieces if piece.seconds is not None]
    if not told:
        return "time: unknown, nothing of this was done from here before"
    if len(pieces) == 1:
        took = known[_work(pieces[0])]
        return f"time: {_about(told[0])}; it took {_span(took.seconds)} on {took.at:%Y-%m-%d %H:%M} UTC"
    rest = len(pieces) - len(told)
    unknown = f"; {rest} were never done from here" if rest else ""
    return f"time: {_about(sum(told))} one after the other, by {len(told)} of {len(pieces)}{unknown}"


def _about(seconds: float) -> str:
    said = _span(seconds)
    return said if said.startswith("below") else f"about {said}"


def _span(seconds: float) -> str:
    if seconds < 0.95:
        return "below a second"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
