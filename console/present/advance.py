"""How far a long phase of an action is, in one line; pure."""

from __future__ import annotations

from console.dispatch.action import Advance
from console.present.units import age, count, size

_WIDTH = 20


def bar(share: float, width: int = _WIDTH) -> str:
    """`[#######.............]`: every terminal has these signs."""
    full = round(min(1.0, max(0.0, share)) * width)
    return f"[{'#' * full}{'.' * (width - full)}]"


def told(one: Advance) -> str:
    """`restore [#####...............] 25% of 1.1 GB, 40s left (by the rate so far)`."""
    if not one.total:
        done = _amount(one.done, one.unit)
        return f"{one.phase}: {done}, nobody knows how much is left" if done else f"{one.phase} …"
    share = min(1.0, one.done / one.total)
    left = "" if one.eta is None else f", {age(one.eta)} left ({one.why})"
    return f"{one.phase} {bar(share)} {share:.0%} of {_amount(one.total, one.unit)}{left}"


def _amount(number: float, unit: str) -> str:
    if unit == "bytes":
        return size(number)
    if unit == "s":
        return age(number)
    return f"{count(number)} {unit}".strip()
