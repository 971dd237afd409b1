"""Who may do what, where and when: pure functions from rules and a plan to a reason, or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from console.dispatch.action import Approval, Plan, Risk
from console.dispatch.ruling import Case, Who, is_meant, ruling
from console.dispatch.selection import KEYS, parts, selects
from console.errors import ConfigError, Refused, UsageError
from console.model.policy import BreakGlass, Policy
from console.model.target import Environment, Target

NOBODY: Final = Who(user="somebody")


class Refusal(msgspec.Struct, frozen=True):
    """Why an action may not run, and what would change that."""

    reason: str
    hint: str = ""


def check_selects(policy: Policy, targets: Sequence[Target]) -> None:
    """A rule that could never hold protects nothing, so it is refused rather than ignored.

    Raises ConfigError for a malformed selection, or one by a key that no target has.
    """
    labels = {name for target in targets for name in target.labels}
    written = [
        *(rule.select for rule in policy.freeze),
        *(rule.select for rule in policy.deny),
        *(rule.select for rule in policy.rules),
        *(one.select for one in policy.break_glass),
    ]
    for select in written:
        try:
            unknown = [key for key, _ in parts(select) if key not in {*KEYS, *labels}]
        except UsageError as error:
            raise ConfigError(f"policy: {error.message}", error.hint) from None
        if unknown:
            raise ConfigError(
                f"policy: the selection {select!r} uses {unknown[0]!r}, which no target has",
                f"use {', '.join((*KEYS, *sorted(labels)))}",
            )


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # OSError: a folder of zones
        return False
    return True


def check_rules(policy: Policy) -> None:
    """Raises ConfigError for a window in a zone that nobody knows, and for two rules of one name."""
    for rule in policy.rules:
        for window in rule.windows:
            if not _is_zone(window.zone):
                raise ConfigError(
                    f"policy: the rule {rule.name!r} has a window in the zone {window.zone!r}, which is none",
                    "use a name such as Europe/Berlin or UTC",
                )
    names = [rule.name for rule in policy.rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"policy: two rules are named {twice!r}", "a ruling names the rule that decides")


def disabled(
    policy: Policy, target: Target, action: str, now: datetime, who: Who = NOBODY, risk: Risk | None = None
) -> Refusal | None:
    """What can be said before anything is planned: shown beside a greyed key. With the risk, all of it."""
    if target.read_only:
        return Refusal(
            f"{target.name} is read-only: its config has no operator login",
            "add `operator: {user: …, password: …}` to the target",
        )
    return ruled_out(policy, target, action, now, who, risk)


def ruled_out(
    policy: Policy, target: Target, action: str, now: datetime, who: Who = NOBODY, risk: Risk | None = None
) -> Refusal | None:
    """What stands against an action that needs no operator: a drill of a server that may be what was lost."""
    for rule in policy.deny:
        if selects(rule.select, target) and any(fnmatchcase(action, glob) for glob in rule.actions):
            return Refusal(f"policy denies {action} on {target.name}: {rule.reason}")
    for freeze in policy.freeze:
        if selects(freeze.select, target) and freeze.start <= now < freeze.end:
            return Refusal(f"{target.name} is frozen until {freeze.end.isoformat()}: {freeze.reason}")
    found = ruling(policy, Case(who=who, action=action, target=target, at=now, risk=risk))
    if found.effect == "deny":
        told = f": {found.reason}" if found.reason else ""
        return Refusal(
            f"policy denies {action} on {target.name} to {who.user} by {found.rule}{told}",
            f"`dbdeck policy explain {action} -t {target.name}` tells how",
        )
    return None


def refuses(policy: Policy, target: Target, plan: Plan, approval: Approval) -> Refusal | None:
    """What the plan or its approval lacks where nothing else is against it: the first reason, or None."""
    if plan.refusals:
        return Refusal(f"protected: {'; '.join(plan.refusals)}")
    if not approval.reason.strip():
        return Refusal("no reason was given", "say why with --reason")
    if wants_ticket(policy, target) and not approval.ticket.strip():
        return Refusal(f"{target.environment} wants a ticket", "name it with --ticket")
    if must_type_name(plan, target) and approval.confirm != target.name:
        return Refusal(
            f"{plan.action} is of high risk in {target.environment} and the target's name was not typed",
            f"--confirm {target.name}",
        )
    return None


def may_break_glass(policy: Policy, target: Target, who: Who) -> BreakGlass:
    """The first entry that lets them. Raises Refused where none does: without one nobody may."""
    for one in policy.break_glass:
        if selects(one.select, target) and any(is_meant(who, glob) for glob in one.who):
            return one
    raise Refused(
        f"no policy lets {who.user} break the glass on {target.name}; nothing was executed",
        "wait for the ledger; policy.break_glass of the config says who may act without it",
    )


def wants_ticket(policy: Policy, target: Target) -> bool:
    return target.environment in policy.ticket


def must_type_name(plan: Plan, target: Target) -> bool:
    return plan.confirm or (plan.risk is Risk.HIGH and target.environment is Environment.PROD)


def _family(action: str) -> str:
    """The word before the point; breaking a chain ends sessions too."""
    family = action.partition(".")[0]
    return "session" if family == "chain" else family


def frozen_by(plan: Plan, unsettled: Sequence[Mapping[str, object]]) -> Refusal | None:
    """An earlier action of the same class on this target whose end nobody knows."""
    family = _family(plan.action)
    for body in unsettled:
        action = str(body.get("action", ""))
        if body.get("target") == plan.target and _family(action) == family:
            return Refusal(
                f"an earlier {action} on {plan.target} has no known outcome, so {family}.* is frozen there",
                "settle it first: `dbdeck audit reconcile`",
            )
    return None
