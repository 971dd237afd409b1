"""What the policy will say of an action that nobody has asked for yet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from console.dispatch.action import Action, Offline, Risk
from console.dispatch.person import person
from console.dispatch.policy import disabled, ruled_out
from console.model.policy import Policy
from console.model.target import Target


def denial(policy: Policy, target: Target, action: Action[Any], risk: Risk | None) -> str:
    """Why it would be refused to who runs this, now; "" where nothing is against it.

    `risk` None: it is not planned yet. Then the action's own is taken, and what only that risk brings about
    may still not come, as a plan may find less.
    """
    said = ruled_out if isinstance(action, Offline) else disabled
    now, who = datetime.now(UTC), person()
    against = said(policy, target, action.name, now, who, risk or action.risk)
    if against is None:
        return ""
    sure = risk is not None or said(policy, target, action.name, now, who, Risk.LOW) is not None
    return f"{'would' if sure else 'may'} be refused: {against.reason}"
