"""Approvals of a run: how many are wanted, whose count, and until when; pure."""

from __future__ import annotations

from datetime import datetime

from console.runbook.document import Approvals
from console.runbook.due import Ask, Scope
from console.runbook.expression import condition
from console.runbook.functions import seconds_of
from console.runbook.state import APPROVAL, Run


def approval(run: Run, top: Scope) -> Ask | None:
    """Asked until there are enough; a condition that is not known wants them."""
    wanted = top.document.approvals
    if wanted is None or run.steps or condition(wanted.when, top.names) is False:
        return None
    have, late = approved(run, wanted)
    if len(have) >= wanted.count:
        return None
    by = f"{wanted.count} other than {' or '.join(_barred(run, wanted))} to approve this run"
    expired = f"; of {', '.join(late)} it is older than {wanted.expires}" if late else ""
    text = f"it takes {by}; {len(have)} did{expired}"
    return Ask(key=APPROVAL, question="approval", text=text, choices=("approve",))


def approved(run: Run, wanted: Approvals) -> tuple[list[str], list[str]]:
    """Whose approval counts now, by the ledger's clock, and whose is too old."""
    barred = _barred(run, wanted)
    have: list[str] = []
    late: list[str] = []
    for person, at in run.approvers.items():
        if person not in barred:
            (late if _expired(run, wanted, at) else have).append(person)
    return have, late


def _barred(run: Run, wanted: Approvals) -> list[str]:
    people = {"requester": run.requester, "executor": run.executor}
    return list(dict.fromkeys(people[one] for one in ("requester", *wanted.distinct_from)))


def _expired(run: Run, wanted: Approvals, at: datetime | None) -> bool:
    if wanted.expires is None or at is None or run.at is None:
        return False
    return (run.at - at).total_seconds() > seconds_of(wanted.expires)
