"""Runs over several accounts that go on without those that cannot be rotated: who, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actions.credential_aims import Aim, aims_of
from actions.words import counted
from console.dispatch.action import Plan
from console.errors import DbdeckError, Refused
from console.model.accounts import Account, Due, label

LEFT_OUT = "left_out"  # in a plan's subject and evidence: name of the account -> why
LISTED = 5


def spares(plan: Plan) -> bool:
    return bool(plan.args.get("leave_out") or plan.args.get("overdue"))


def left_out(plan: Plan) -> dict[str, str]:
    """By the plan, by the last look before it began, and by the run."""
    return {**plan.subject.get(LEFT_OUT, {}), **plan.evidence.get(LEFT_OUT, {})}


def going(plan: Plan) -> list[Aim]:
    """Those that are not left out."""
    out = left_out(plan)
    return [aim for aim in aims_of(plan) if aim.label not in out]


def without(plan: Plan, why: Mapping[str, str]) -> Plan:
    """Raises Refused where nobody is left of those who should be rotated."""
    evidence = (
        {**plan.evidence, LEFT_OUT: {**plan.evidence.get(LEFT_OUT, {}), **why}} if why else plan.evidence
    )
    made = msgspec.structs.replace(plan, evidence=evidence)
    if left_out(made) and not going(made):
        raise Refused(f"nobody can be rotated: {told(left_out(made))}; nothing was executed")
    return made


def reason(error: DbdeckError) -> str:
    said = error.message.removesuffix("; nothing was executed")
    return f"{said} ({error.hint})" if error.hint else said


def told(out: Mapping[str, str]) -> str:
    """`2 accounts are left out: shop_web: …; shop_job: …`; empty where nobody is."""
    if not out:
        return ""
    named = [why if why.startswith(name) else f"{name}: {why}" for name, why in out.items()]
    more = [f"and {len(named) - LISTED} more"] if len(named) > LISTED else []
    verb = "is" if len(named) == 1 else "are"
    return f"{counted(len(named), 'account')} {verb} left out: {'; '.join([*named[:LISTED], *more])}"


def of_unknown_age(found: Sequence[Account]) -> tuple[str, ...]:
    """They may be overdue: nobody knows."""
    names = [label(*one.key) for one in found if one.due is Due.UNKNOWN]
    if not names:
        return ()
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (
        f"how old the passwords of {counted(len(names), 'account')} are is unknown, and they are not among "
        f"the overdue: {', '.join(names[:LISTED])}{more}",
    )
