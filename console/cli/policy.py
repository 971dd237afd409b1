"""`policy explain|test`: what the rules of the config say, and whether they say what they should."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from console.cli import output
from console.cli.context import Services, one
from console.dispatch.action import Risk
from console.dispatch.person import person
from console.dispatch.policy import disabled
from console.dispatch.ruling import Case, Ruling, Who, failures, ruling
from console.errors import Exit, UsageError
from console.present.table import Tone


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
    config = services.config()
    target, policy = one(config, asked.target), config.policy
    action = services.registry().get(asked.action)
    who = Who(user=asked.who, groups=asked.groups) if asked.who else person()
    risk, at = Risk(asked.risk) if asked.risk else action.risk, _moment(asked.at)
    found = ruling(policy, Case(who=who, action=action.name, target=target, at=at, risk=risk))
    against = disabled(policy, target, action.name, at, who, risk)
    effect = "deny" if against is not None else "allow"
    reason = against.reason if against is not None else _said(found)
    if asked.as_json:
        row = {"action": action.name, "target": target.name, "who": who.user, "risk": risk, "at": at,
               "effect": effect, "rule": found.rule, "reason": reason}  # fmt: skip
        output.document({"schema": "dbdeck/policy/1", "rows": [row]})
    else:
        tone = Tone.BAD if against is not None else Tone.GOOD
        output.line(f"{effect}: {who.user}, {action.name} ({risk} risk) on {target.name}", tone)
        output.line(f"  {reason}")
    return Exit.REFUSED if against is not None else Exit.OK


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
