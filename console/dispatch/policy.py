"""Who may do what, where and when: pure functions from rules and a plan to a reason, or None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from console.dispatch.action import Approval, Plan, Risk
from console.dispatch.ruling import DEFAULT, Case, Ruling, Who, is_meant, ruling, seconds_of
from console.dispatch.selection import KEYS, parts, selects
from console.errors import ConfigError, Refused, UsageError
from console.model.policy import BreakGlass, Policy, RuleTest
from console.model.target import EngineKind, Environment, Target

NOBODY: Final = Who(user="somebody")
DENY, FREEZE = "policy.deny", "policy.freeze"  # what decides, where it is no rule with a name
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "env": tuple(Environment),
    "environment": tuple(Environment),
    "engine": tuple(EngineKind),
}


class Refusal(msgspec.Struct, frozen=True):
    """Why an action may not run, and what would change that."""

    reason: str
    hint: str = ""


def check_policy(policy: Policy, targets: Sequence[Target], actions: Callable[[], Iterable[str]]) -> None:
    """Before anything is judged by it. Raises ConfigError; `actions` gives the names of all there are."""
    check_selects(policy, targets)
    check_rules(policy)
    check_actions(policy, actions)


def check_selects(policy: Policy, targets: Sequence[Target]) -> None:
    """A rule that could never hold protects nothing, so it is refused rather than ignored.

    Raises ConfigError for a malformed selection, or one by a key that no target has,
    or by a word that is none.
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
        for key, value in parts(select):
            if key in _VALUES and not any(fnmatchcase(one, value) for one in _VALUES[key]):
                raise ConfigError(
                    f"policy: the selection {select!r} fits no target there could be: {key}={value}",
                    f"{key} is one of {', '.join(_VALUES[key])}",
                )


def check_actions(policy: Policy, names: Callable[[], Iterable[str]]) -> None:
    """Raises ConfigError for a rule or a test about an action that there is not: it would hold for nothing.

    `names` is asked only where the policy names any.
    """
    written = [
        *(("deny", glob) for one in policy.deny for glob in one.actions),
        *((f"rule {one.name!r}", glob) for one in policy.rules for glob in one.actions),
        *(("tests", one.action) for one in policy.tests),
    ]
    known = tuple(names()) if written else ()
    for where, glob in written:
        if not any(fnmatchcase(name, glob) for name in known):
            raise ConfigError(f"policy, {where}: no action is named {glob!r}", _nearest(glob, known))


def _nearest(glob: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(glob, known, n=1)
    return f"did you mean {near[0]!r}? `dbdeck actions` lists them" if near else "`dbdeck actions` lists them"


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # OSError: a folder of zones
        return False
    return True


def check_rules(policy: Policy) -> None:
    """Raises ConfigError for what could never hold as it was meant: a window in a zone that nobody knows, a
    freeze that ends before it begins, people who are none, and for two rules of one name.
    """
    for rule in policy.rules:
        for window in rule.windows:
            if not _is_zone(window.zone):
                raise ConfigError(
                    f"policy: the rule {rule.name!r} has a window in the zone {window.zone!r}, which is none",
                    "use a name such as Europe/Berlin or UTC",
                )
        if rule.approvals and not seconds_of(rule.expires):
            raise ConfigError(
                f"policy: the rule {rule.name!r} wants approvals that are good for {rule.expires}",
                "`expires` is how long a yes is good, like 30m",
            )
        if rule.max_targets and not seconds_of(rule.per):
            raise ConfigError(
                f"policy: the rule {rule.name!r} counts targets within {rule.per}, which are none",
                "`per` is how far back it counts, like 1h",
            )
    _check_spans(policy)
    _check_people(policy)
    _check_names(policy)


def _check_spans(policy: Policy) -> None:
    for freeze in policy.freeze:
        if freeze.end <= freeze.start:
            raise ConfigError(
                f"policy: the freeze {freeze.reason!r} ends {freeze.end.isoformat()}, "
                f"which is not after it begins ({freeze.start.isoformat()})",
                "it would hold never: was start meant to be end?",
            )
    for deny in policy.deny:
        if not deny.actions:
            raise ConfigError(
                f"policy: the denial {deny.reason!r} names no actions, so it denies none",
                "write actions: ['*'] for all of them",
            )


def _check_people(policy: Policy) -> None:
    meant = [glob for rule in policy.rules for glob in rule.who]
    for glob in [*meant, *(glob for one in policy.break_glass for glob in one.who)]:
        kind, colon, name = glob.partition(":")
        if not glob or (colon and not (kind == "group" and name)):
            raise ConfigError(
                f"policy: {glob!r} in `who` is nobody",
                "a user of this machine, or group:NAME; shell patterns",
            )


def _check_names(policy: Policy) -> None:
    names = [rule.name for rule in policy.rules]
    for name in names:
        if not name.strip() or name in (DEFAULT, DENY, FREEZE):
            raise ConfigError(
                f"policy: a rule cannot be named {name!r}", "a ruling names the rule that decides"
            )
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
    found = decided(policy, Case(who=who, action=action, target=target, at=now, risk=risk))
    if found.effect != "deny":
        return None
    told = f": {found.reason}" if found.reason else ""
    if found.rule == DENY:
        return Refusal(f"policy denies {action} on {target.name}{told}")
    if found.rule == FREEZE:
        return Refusal(f"{target.name} is frozen {found.reason}")
    return Refusal(
        f"policy denies {action} on {target.name} to {who.user} by {found.rule}{told}",
        f"`dbdeck policy explain {action} -t {target.name}` tells how",
    )


def decided(policy: Policy, case: Case) -> Ruling:
    """All that the policy says of it: a denial, a freeze, else its rules."""
    for deny in policy.deny:
        if selects(deny.select, case.target) and any(fnmatchcase(case.action, one) for one in deny.actions):
            return Ruling(effect="deny", rule=DENY, reason=deny.reason)
    for freeze in policy.freeze:
        if selects(freeze.select, case.target) and freeze.start <= case.at < freeze.end:
            until = f"until {freeze.end.isoformat()}: {freeze.reason}"
            return Ruling(effect="deny", rule=FREEZE, reason=until)
    return ruling(policy, case)


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
    """An earlier action of the same class on this target whose end nobody knows, or one that may be: without
    a text nobody can tell.
    """
    family = _family(plan.action)
    for body in unsettled:
        if not body:
            return Refusal(
                "an earlier action has no known outcome, and the text that told which and where is gone, "
                "so everything is frozen",
                "settle it first: `dbdeck audit open` has its id, "
                "`dbdeck audit reconcile --action ID --as … --reason TEXT`",
            )
        action = str(body.get("action", ""))
        if body.get("target") == plan.target and _family(action) == family:
            return Refusal(
                f"an earlier {action} on {plan.target} has no known outcome, so {family}.* is frozen there",
                "settle it first: `dbdeck audit reconcile`",
            )
    return None


# ---- tests of a policy ---------------------------------------------------------------------------


def failures(policy: Policy, targets: Mapping[str, Target], now: datetime) -> Iterator[str]:
    """A sentence for each test of the policy that does not hold."""
    for number, one in enumerate(policy.tests, 1):
        name = f"test {number} ({one.who} {one.action} on {one.target})"
        if one.target not in targets:
            yield f"{name}: there is no target {one.target!r}"
            continue
        found = decided(policy, _case(one, targets[one.target], now))
        if found.effect != one.expect:
            yield f"{name}: {one.expect} was expected; {found.rule} says {found.effect}"
        elif one.rule and found.rule != one.rule:
            yield f"{name}: {one.rule!r} was expected to decide; {found.rule} does"


def _case(one: RuleTest, target: Target, now: datetime) -> Case:
    who = Who(user=one.who, groups=one.groups)
    return Case(who=who, action=one.action, target=target, at=one.at or now, risk=Risk(one.risk))
