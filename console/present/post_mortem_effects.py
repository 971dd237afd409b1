"""The actions of a run, as their rows tell: what was planned, what was sent, how it ended; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.present.post_mortem_parts import Effect, Sent, Standing


def effects_told(
    entries: Iterable[Entry], run: str, standing: Callable[[str, str], Standing]
) -> tuple[Effect, ...]:
    """One an action, in the order of the ledger. `standing` knows by step and status what is left of it."""
    found: dict[UUID, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.action_id, []).append(entry)
    return tuple(_effect(rows, run, standing) for rows in found.values())


def _effect(rows: Sequence[Entry], run: str, standing: Callable[[str, str], Standing]) -> Effect:
    bodies = {row.kind: fields(row.body) for row in rows}
    intent = bodies.get(Kind.INTENT, {})
    end = bodies.get(Kind.RESOLVED) or bodies.get(Kind.OUTCOME) or {}
    verdict, error = end.get("verify"), end.get("error")
    known = verdict if isinstance(verdict, dict) else {}
    step = _step(rows, run)
    return Effect(
        step=step,
        action=str(intent.get("action") or end.get("action") or "?"),
        action_id=str(rows[0].action_id),
        operator=str(intent.get("operator") or rows[0].db_user),
        planned=_texts(intent.get("statements")),
        sent=tuple(_sent(row) for row in rows if row.kind == Kind.STEP),
        status=str(end.get("status") or "its end is not recorded"),
        standing=standing(step, str(end.get("status"))),
        verdict=str(known.get("summary") or end.get("reason") or ""),
        evidence=dict(known.get("evidence") or {}),
        error=str(error.get("message") or "") if isinstance(error, dict) else "",
        missing=tuple(row.id for row in rows if row.body is None),
    )


def _step(rows: Iterable[Entry], run: str) -> str:
    """By the key of the intent: run:step:attempt."""
    key = next((row.idempotency_key for row in rows if row.idempotency_key), "") or ""
    return key.removeprefix(f"{run}:").rpartition(":")[0]


def _sent(row: Entry) -> Sent:
    body = fields(row.body)
    statements = _texts(body.get("statements")) or _texts([body["statement"]] if "statement" in body else [])
    return Sent(row=row.id, at=row.at, statements=statements)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list | tuple) else ()
