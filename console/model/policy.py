"""Rules of the config about who may act where and when; `console.dispatch.policy` judges by them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from console.model.target import Environment

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Freeze(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No action on the selected targets from `start` to `end` (with a UTC offset)."""

    start: Moment
    end: Moment
    reason: str
    select: str = ""


class Deny(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Actions (shell patterns) that nobody may run on the selected targets."""

    actions: tuple[str, ...]
    reason: str
    select: str = ""


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="like 22:00")]
Level = Literal["low", "medium", "high"]


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start` to `end` on `days`, by the clock of `zone` (IANA). An `end` that is not after `start` is
    on the day after; `days` are those on which it begins.
    """

    start: Clock
    end: Clock
    days: tuple[Day, ...] = ()
    zone: str = "UTC"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may (or may not) do what, where and when. What is left out fits everything.

    `who` are users of this machine or `group:NAME`, shell patterns; a claim of the machine, as everywhere.
    What it allows takes the `approvals` of so many others, each good for `expires` and by one of `approvers`
    (logins of the ledger, shell patterns), and no more than `max_targets` targets within `per`, whoever acts.
    """

    name: str
    effect: Literal["allow", "deny"]
    reason: str = ""
    who: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    risk: tuple[Level, ...] = ()
    select: str = ""
    windows: tuple[Window, ...] = ()
    approvals: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    expires: Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}[smh]$", description="like 30m")] = "30m"
    approvers: tuple[str, ...] = ()
    max_targets: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    per: Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}[smh]$", description="like 1h")] = "1h"


class RuleTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the policy must say of one case; `dbdeck policy test` tries it. `rule`: which one must decide."""

    action: str
    target: str
    expect: Literal["allow", "deny"]
    risk: Level = "low"
    who: str = "somebody"
    groups: tuple[str, ...] = ()
    at: Moment | None = None
    rule: str = ""


class BreakGlass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may act while the ledger's table is out of reach, where, and for how many minutes at a time. Nobody
    else may, and everything else that the policy says holds as ever.

    `without_approvals`: what wants the approval of others then goes without; else it is refused, because
    nobody's approval can be read.
    """

    who: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    select: str = ""
    minutes: Annotated[int, msgspec.Meta(ge=1, le=30)] = 15
    without_approvals: bool = False


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    freeze: tuple[Freeze, ...] = ()
    deny: tuple[Deny, ...] = ()
    ticket: tuple[Environment, ...] = ()
    rules: tuple[Rule, ...] = ()
    break_glass: tuple[BreakGlass, ...] = ()
    tests: tuple[RuleTest, ...] = ()

    @property
    def hash(self) -> str:
        """By which an intent tells under which rules it was allowed."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
