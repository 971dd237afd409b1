"""Rules of the config about who may act where and when; `console.dispatch.policy` judges by them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

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


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    freeze: tuple[Freeze, ...] = ()
    deny: tuple[Deny, ...] = ()
    ticket: tuple[Environment, ...] = ()
