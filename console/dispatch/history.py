"""What the ledger knows of doing the same to the same client before: whether it helped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from console.audit.ledger import Ledger
from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.dispatch.action import Plan
from console.errors import DbdeckError

LOOK_BACK = timedelta(days=1)
ROWS = 400


async def before(ledger: Ledger, plan: Plan) -> tuple[str, ...]:
    """Forecast lines from the last rows of the ledger; none where this login may not read it."""
    if not plan.likeness:
        return ()
    try:
        entries = await ledger.entries(limit=ROWS, kinds=(Kind.INTENT, Kind.OUTCOME))
    except DbdeckError:
        return ()
    return told(plan, entries)


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
