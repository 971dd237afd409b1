"""What is said of a migration's statements, and of where it was rehearsed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actions.words import counted
from console.dispatch.history import Earlier

_EXTENT = {"applied": "", "partial": "in part "}


def extent(applied: int, number: int, begin_at: int) -> str:
    """How far a script of `number` statements is applied; what lies before `begin_at` is not claimed."""
    if begin_at == 1:
        return f"{'all ' if applied == number else f'{applied} of '}{counted(number, 'statement')} applied"
    if applied < begin_at:
        return f"none of statements {begin_at} to {number} applied"
    these = f"statement {begin_at}" if applied == begin_at else f"statements {begin_at} to {applied}"
    return f"{these} of {number} applied"


def held(proved: int) -> str:
    return f", {counted(proved, 'check')} {'holds' if proved == 1 else 'hold'}" if proved else ""


def elsewhere(rehearsed_in: str, database: str) -> str:
    """Why a rehearsal in one database says nothing of another; "" where it does, or where none is named."""
    if not rehearsed_in or not database or rehearsed_in == database:
        return ""
    return f"its newest rehearsal was in the database {rehearsed_in}, and this target's is {database}"


def nowhere(rehearsed_in: str, database: str) -> str:
    """What a script meets on a target that names no database, which only MySQL and MariaDB have."""
    if not rehearsed_in or database:
        return ""
    return (
        f"it was rehearsed in the database {rehearsed_in}, and this target names none: a table without its "
        f"database is not found here (`database: {rehearsed_in}` of the target, else write it in the script)"
    )


class Before(NamedTuple):
    """What the ledger tells of a script: a line of the forecast, or a warning; at most one of them."""

    forecast: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def before(runs: Sequence[Earlier] | None, back: Sequence[Earlier] | None, leads_back: str) -> Before:
    """`runs` of exactly this script on this target, and those of the script that undoes it (the name of its
    file is `leads_back`); the newest first, None where the ledger does not tell.
    """
    if runs is None:
        return Before(warnings=("whether it was applied here before is not known: the ledger does not tell",))
    if not runs:
        return Before()
    newest = runs[0]
    often = f" {len(runs)} times, last" if len(runs) > 1 else ""
    said = f"exactly this script was applied here before{often}: {_run(newest)}"
    if back and back[0].at > newest.at:
        since = f"{said}; since then {leads_back} was: {_run(back[0])}"
        return Before(forecast=(since,)) if back[0].status == "applied" else Before(warnings=(since,))
    return Before(warnings=(said,))


def _run(run: Earlier) -> str:
    extent = _EXTENT.get(run.status, "nobody knows how far, ")
    by = f" by {run.operator}" if run.operator else ""
    return f"{extent}{run.at:%Y-%m-%d %H:%M} UTC{by} (action {run.action_id})"
