"""What the rules of the policy say of one case, and which rule says it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec

from console.dispatch.action import Risk
from console.dispatch.selection import selects
from console.model.policy import Policy, Rule, Window
from console.model.target import Environment, Target

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DEFAULT: Final = "the default"


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, as this machine knows them."""

    user: str
    groups: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `risk` None: nothing was planned yet."""

    who: Who
    action: str
    target: Target
    at: datetime
    risk: Risk | None = None


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` is the name of the one that decides, or the default; None: it depends on the plan's risk.

    `approvals` of so many others are wanted, by `approvers` (empty: anybody), none older than `within`
    seconds. `limit` is that rule where it limits the number of targets.
    """

    effect: Literal["allow", "deny"] | None
    rule: str = DEFAULT
    reason: str = ""
    approvals: int = 0
    within: float = 0.0
    approvers: tuple[str, ...] = ()
    limit: Rule | None = None


def ruling(policy: Policy, case: Case) -> Ruling:
    """The first rule that denies; else the first that allows; else the default.

    The default allows, but where there are rules it denies medium and high risk in prod.
    """
    fitting = [(rule, fits(rule, case)) for rule in policy.rules]
    for rule, fit in fitting:
        if fit and rule.effect == "deny":
            return Ruling(effect="deny", rule=rule.name, reason=rule.reason)
    if any(fit is None and rule.effect == "deny" for rule, fit in fitting):
        return Ruling(effect=None)
    for rule, fit in fitting:
        if fit and rule.effect == "allow":
            return Ruling(effect="allow", rule=rule.name, reason=rule.reason, approvals=rule.approvals,
                          within=seconds_of(rule.expires), approvers=rule.approvers,
                          limit=rule if rule.max_targets else None)  # fmt: skip
    return _default(policy, case)


def seconds_of(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def over_the_limit(rule: Rule, target: str, acted: Iterable[tuple[str, str]]) -> list[str]:
    """The targets that were acted on, where one more would be too many; none where it would not.

    `acted`: (action, target) of what came before, within `rule.per`.
    """
    globs = rule.actions or ("*",)
    there = {where for action, where in acted if any(fnmatchcase(action, glob) for glob in globs)}
    most = rule.max_targets or 0
    return sorted(there) if target not in there and len(there) >= most else []


def _default(policy: Policy, case: Case) -> Ruling:
    if not policy.rules or case.target.environment is not Environment.PROD:
        return Ruling(effect="allow")
    if case.risk is None:
        return Ruling(effect=None)
    if case.risk is Risk.LOW:
        return Ruling(effect="allow")
    return Ruling(effect="deny", reason=f"no rule allows {case.risk} risk in prod")


def fits(rule: Rule, case: Case) -> bool | None:
    """None: all but the risk fits, and the risk is not known yet."""
    if not selects(rule.select, case.target):
        return False
    if rule.actions and not any(fnmatchcase(case.action, glob) for glob in rule.actions):
        return False
    if rule.who and not any(is_meant(case.who, glob) for glob in rule.who):
        return False
    if rule.windows and not any(is_open(window, case.at) for window in rule.windows):
        return False
    if not rule.risk:
        return True
    return None if case.risk is None else case.risk.value in rule.risk


def is_meant(who: Who, glob: str) -> bool:
    """A user, or `group:NAME`, by a shell pattern."""
    kind, _, name = glob.partition(":")
    if kind == "group":
        return any(fnmatchcase(group, name) for group in who.groups)
    return fnmatchcase(who.user, glob)


def is_open(window: Window, at: datetime) -> bool:
    """By the wall clock of the window's zone, so that a change of summer time moves with the people.

    Where the clock is set back, an hour that comes twice is in the window twice.
    """

    from zoneinfo import ZoneInfo

    here = at.astimezone(ZoneInfo(window.zone))
    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
    if start < end:
        return start <= here.time() < end and _on(window, here)
    return (here.time() >= start and _on(window, here)) or (
        here.time() < end and _on(window, here - timedelta(days=1))
    )


def _on(window: Window, day: datetime) -> bool:
    return not window.days or _DAYS[day.weekday()] in window.days
