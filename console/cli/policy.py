"""`policy explain|test` and `approve`: what the rules of the config say, and the yes of a second person."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from console.cli import output
from console.cli.context import Services, ledger, one
from console.dispatch.action import Offline, Plan, Risk
from console.dispatch.approving import Asked, asked
from console.dispatch.approving import approve as record_approval
from console.dispatch.person import person
from console.dispatch.policy import decided, disabled, failures, must_type_name, ruled_out, wants_ticket
from console.dispatch.ruling import Case, Ruling, Who, ruling
from console.engine.open import whoami
from console.errors import Exit, Refused, UsageError
from console.model.policy import Policy
from console.model.target import Target
from console.present import plan as words
from console.present.table import Tone
from console.present.units import clean


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. Without `who` it is who asks; without `risk` that of the action as it is registered."""

    action: str
    target: str | None
    who: str | None
    groups: tuple[str, ...]
    risk: str | None
    at: str | None
    as_json: bool


def explain(services: Services, asked: Question) -> int:
    """The rule that decides, and what else stands against the action. Exit 4 where it would be refused."""
    if asked.groups and not asked.who:
        raise UsageError("--group is a group of --who, and no user is named", "add --who USER")
    config = services.config()
    target, policy = one(config, asked.target), config.policy
    action = services.registry().get(asked.action)
    who = Who(user=asked.who, groups=asked.groups) if asked.who else person()
    risk, at = Risk(asked.risk) if asked.risk else action.risk, _moment(asked.at)
    found = decided(policy, Case(who=who, action=action.name, target=target, at=at, risk=risk))
    said = ruled_out if isinstance(action, Offline) else disabled
    against = said(policy, target, action.name, at, who, risk)
    if target.read_only and not isinstance(action, Offline):
        found = Ruling(effect="deny", rule=f"targets.{target.name}.operator")  # there is none
    reason = against.reason if against is not None else _said(found)
    limit = found.limit
    row = {"action": action.name, "target": target.name, "who": who.user, "risk": risk, "at": at,
           "effect": found.effect, "rule": found.rule, "reason": reason, "approvals": found.approvals,
           "ticket": against is None and wants_ticket(policy, target),
           "max_targets": limit and limit.max_targets, "per": limit and limit.per}  # fmt: skip
    if asked.as_json:
        output.document({"schema": "dbdeck/policy/1", "rows": [row]})
    else:
        tone = Tone.BAD if against is not None else Tone.GOOD
        output.line(f"{found.effect}: {clean(who.user)}, {action.name} ({risk} risk) on {target.name}", tone)
        output.line(f"  {clean(reason)}")
        for text in _conditions(found, ticket=row["ticket"] is True):
            output.line(f"  {text}", Tone.NOTICE)
    return Exit.REFUSED if against is not None else Exit.OK


def _conditions(found: Ruling, *, ticket: bool) -> Iterator[str]:
    """What `apply` will want besides, or count."""
    if found.approvals:
        of = f" of {', '.join(found.approvers)}" if found.approvers else ""
        yield f"it takes the approval of {found.approvals} other{of}: `dbdeck approve HASH`"
    if ticket:
        yield "it takes a ticket: --ticket"
    if found.limit is not None:
        most = found.limit.max_targets
        yield f"at most {most} target{'' if most == 1 else 's'} in {found.limit.per}, whoever acts"


def said_of(policy: Policy, plan: Plan, target: Target, *, offline: bool) -> str:
    """What the rules will want of whoever applies it, beside a reason; empty where that is nothing."""
    now, who = datetime.now(UTC), person()
    said = ruled_out if offline else disabled
    against = said(policy, target, plan.action, now, who, plan.risk)
    if against is not None:
        return f"`apply` would be refused: {against.reason}"
    found = ruling(policy, Case(who=who, action=plan.action, target=target, at=now, risk=plan.risk))
    wanted = [
        "--ticket" if wants_ticket(policy, target) else "",
        f"--confirm {target.name}" if must_type_name(plan, target) else "",
        f"the approval of {found.approvals} other, by {found.rule}" if found.approvals else "",
    ]
    told = ", ".join(one for one in wanted if one)
    return f"`apply` wants {told}" if told else ""


def _said(found: Ruling) -> str:
    return f"by {found.rule}" + (f": {found.reason}" if found.reason else "")


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text!r} is no time", "like 2026-11-27T02:00:00+01:00") from None
    if found.tzinfo is None:
        raise UsageError(f"--at {text!r} has no UTC offset", "like 2026-11-27T02:00:00+01:00")
    return found


def test(services: Services) -> int:
    """Every test of the policy. Exit 1 where one does not hold, 2 where there are none."""
    config = services.config()
    tests = config.policy.tests
    if not tests:
        raise UsageError("the policy has no tests", "write them under policy.tests")
    targets = {target.name: target for target in config.all_targets()}
    found = list(failures(config.policy, targets, datetime.now(UTC)))
    for text in found:
        output.line(text, Tone.BAD)
    output.line(f"{len(tests) - len(found)} of {len(tests)} tests hold", Tone.BAD if found else Tone.GOOD)
    return Exit.FAILED if found else Exit.OK


async def approve(services: Services, part: str, reason: str, yes: bool, as_json: bool) -> int:
    """Shows the plan, and records who approved it; it is bound to the plan's hash, and runs nothing."""
    if not reason.strip():
        raise UsageError(
            "no reason was given; nothing was approved", "say what you looked at with --reason TEXT"
        )
    async with ledger(services.config(), write=True) as opened:
        wanted = await asked(opened, part)
        for _, text in words.describe(wanted.plan):
            output.note(text)
        output.note(_asker(wanted))
        if not yes and not _agrees():
            raise Refused("nothing was approved")
        await record_approval(opened, wanted, reason, whoami())
    plan = wanted.plan
    if as_json:
        row = {"plan_hash": plan.hash, "action": plan.action, "target": plan.target, "reason": reason}
        output.document({"schema": "dbdeck/approval/1", **row})
    else:
        what = clean(f"{plan.title} on {plan.target}", 400)
        output.line(f"approved: {what}, plan {plan.hash[:16]}", Tone.GOOD)
    return Exit.OK


def _asker(wanted: Asked) -> str:
    """Who wants it, since when, and what for."""
    why, ticket = clean(wanted.reason, 300), clean(wanted.ticket, 60)
    told = f": {why}" if why else ""
    return (
        f"asked for by {clean(wanted.entry.db_user, 60)} at {wanted.entry.at:%Y-%m-%d %H:%M:%S} UTC{told}"
        f"{f' (ticket {ticket})' if ticket else ''}"
    )


def _agrees() -> bool:
    """At a terminal. Raises UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "there is no terminal to ask at; nothing was approved", "look at the plan, then give --yes"
        )
    return output.prompt("approve it? [y/N] ").lower() in ("y", "yes")
