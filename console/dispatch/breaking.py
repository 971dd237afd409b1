"""What a break-glass begins with: the terms that are recorded before anything else."""

from __future__ import annotations

import msgspec

from console.audit.glass import Terms
from console.engine.open import whoami
from console.model.policy import BreakGlass
from console.model.target import Target


def terms(by: BreakGlass, target: Target, reason: str, minutes: int | None = None) -> Terms:
    """For at most as long as the policy says."""
    longest = by.minutes if minutes is None else min(minutes, by.minutes)
    return Terms(
        reason=reason,
        target=target.name,
        operator=whoami(),
        allowed_by=msgspec.to_builtins(by),
        seconds=longest * 60.0,
    )
