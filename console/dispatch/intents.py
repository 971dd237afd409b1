"""What an intent row holds, and the plan in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from console import __version__
from console.dispatch.action import Approval, Plan
from console.dispatch.approving import NOBODY_ASKED, Approved
from console.model.target import Target

NO_RULES: Final[Mapping[str, str]] = {}
VALID_FOR = timedelta(minutes=2)
# Stand once, beside the plan: of thousands of objects they are most of a row. Version 1 had them in it, too.
_BESIDE = ("args", "subject", "statements", "forecast", "server")
_LEFT_OUT = ("pieces",)  # told by subject and forecast


def body(
    plan: Plan,
    approval: Approval,
    target: Target,
    operator: str,
    others: Approved = NOBODY_ASKED,
    ruled: Mapping[str, str] = NO_RULES,
) -> dict[str, object]:
    """`operator` is the login as the server knows it; `others` approved the plan; `ruled` is the hash of the
    policy and the rule of it that decided.
    """
    planned: dict[str, Any] = msgspec.to_builtins(plan, str_keys=True)
    now = datetime.now(UTC)
    return {
        "version": 2,
        "dbdeck": __version__,
        "action": plan.action,
        "target": plan.target,
        "environment": str(target.environment),
        "risk": str(plan.risk),
        **{name: planned[name] for name in _BESIDE},
        "plan_hash": others.plan_hash or plan.hash,
        "plan": {name: value for name, value in planned.items() if name not in (*_BESIDE, *_LEFT_OUT)},
        "operator": operator,
        "reason": approval.reason,
        "ticket": approval.ticket,
        "confirmed": bool(approval.confirm),
        **ruled,
        "planned_at": plan.made_at,
        "valid_until": now + VALID_FOR,
        **others.beside(),
    }


def plan_of(body: Mapping[str, object]) -> Plan:
    """Of a row of any version. Raises msgspec.ValidationError where it has none."""
    planned = body.get("plan")
    if not isinstance(planned, dict):
        raise msgspec.ValidationError("the intent has no plan")
    beside = {name: body[name] for name in _BESIDE if name in body}
    return msgspec.convert({**beside, **planned}, Plan)
