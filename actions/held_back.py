"""What a vacuum cannot remove: rows that somebody may still want to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actions import draft, proof
from actions.jobs import Job, jobs_of
from actions.words import counted
from console.dispatch.action import Plan
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.horizon import Holder
from console.present.units import count

LEFT = "dead_rows_left"  # evidence: what was vacuumed and is not clean
YOUNG = 5.0  # seconds: a session that began since may be gone before the vacuum comes
_LAZY = ("vacuum", "vacuum freeze")  # what does not write the table anew
_VERBS = (*_LAZY, "vacuum full")


async def warnings(engine: Engine, jobs: Sequence[Job]) -> tuple[str, ...]:
    """Before a vacuum: who holds the horizon, and what that means for it. A look that fails is told, too."""
    if not any(job.verb in _VERBS for job in jobs):
        return ()
    try:
        holder = await _oldest(engine, jobs)
    except DbdeckError as error:
        return (f"who holds cleanup back is unknown: {error.message}",)
    if holder is None:
        return ()
    kept = "are written again" if all(job.verb == "vacuum full" for job in jobs) else "stay"
    return (
        f"{_named(holder)} holds cleanup back, {counted(holder.age or 0, 'transaction')} back: rows that "
        f"died since {kept}, and no younger number is frozen; `dbdeck show horizon` says what ends it",
    )


async def left(plan: Plan, engine: Engine, *, partly: bool) -> dict[str, Any]:
    """After it: dead rows that are still there while somebody holds them. Nothing where that is not known.

    `partly`: some of it was not done, whose dead rows are nobody's fault.
    """
    try:
        undone = {job.id for job in await proof.left(plan, engine)} if partly else set()
        jobs = [one for one in jobs_of(plan) if one.verb in _LAZY and one.id not in undone]
        found = await draft.marks(engine, tuple((job.schema, job.name) for job in jobs))
        dead = [one.dead for one in found if one.dead]
        holder = await _oldest(engine, jobs) if dead else None
    except DbdeckError:
        return {}
    if holder is None:
        return {}
    return {LEFT: f"{count(sum(dead))} in {counted(len(dead), 'table')}, which {_named(holder)} holds back"}


async def _oldest(engine: Engine, jobs: Sequence[Job]) -> Holder | None:
    """The one that counts for these tables; catalogs are also held by slots that no other table minds."""
    catalogs = any(job.schema == "pg_catalog" for job in jobs)
    holders = [
        one
        for one in (await engine.horizon()).holders
        if (one.here or catalogs) and (one.age or 0) > 0 and (one.seconds is None or one.seconds >= YOUNG)
    ]
    return max(holders, key=lambda one: one.age or 0, default=None)


def _named(holder: Holder) -> str:
    kind = "" if holder.name.startswith("session ") else f"{holder.kind} "
    return f"{kind}{holder.name}"
