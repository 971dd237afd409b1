"""What a process that is to die is told, and what is heard of it. Plain data, one JSON line each."""

from __future__ import annotations

from typing import Any

import msgspec

BROKE = -2
"""The exit code of a run that raised what is no error of ours."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`config` is YAML with a target `t`. `ledger` is a URL, whose password is in the variable `word` where
    it has one. `vault` is a path, empty for an action that keeps no secrets. `stop` is the turn of the loop
    to die at, counted from the plan on; 0 is never.
    """

    config: str
    action: str
    args: dict[str, Any]
    ledger: str
    journal: str
    vault: str = ""
    word: str = ""
    stop: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """`killed`: by its own hand at that turn. Else `turns` are those of the whole run, `exit` its exit code,
    `intent` the turn in which its intent was begun, `said` what it ended with: an effect, or an error.
    """

    killed: bool
    turns: int = 0
    intent: int = 0
    exit: int = -1
    effect: str = ""
    said: str = ""
