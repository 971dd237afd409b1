"""What a post-mortem is made of: frozen values, all of them plain text and data."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

Standing = Literal["stands", "taken back", "nothing changed", "nobody knows"]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a report; times are the ledger's, and `row` is the number of a row in it."""


class Moment(_Part, frozen=True, kw_only=True):
    """One event. `offset` is seconds since the run began."""

    row: int
    at: datetime
    offset: float
    step: str
    what: str
    who: str


class Sent(_Part, frozen=True, kw_only=True):
    """A row that was written before its statements were sent."""

    row: int
    at: datetime
    statements: tuple[str, ...]


class Effect(_Part, frozen=True, kw_only=True):
    """One action. `planned` are the statements of its intent, `sent` those of its steps; `status` is that of
    its outcome, or of what was found out later. `missing` are its rows that cannot be read any more.
    """

    step: str
    action: str
    action_id: str
    operator: str
    planned: tuple[str, ...]
    sent: tuple[Sent, ...]
    status: str
    standing: Standing
    verdict: str
    evidence: dict[str, Any] = {}
    error: str = ""
    missing: tuple[int, ...] = ()


class Evidence(_Part, frozen=True, kw_only=True):
    """A saved answer. `truncated`: there was more; `redacted`: fields whose values were not kept."""

    row: int
    at: datetime
    step: str
    name: str
    rows: list[dict[str, Any]]
    truncated: bool = False
    redacted: tuple[str, ...] = ()
    problem: str = ""


class Way(_Part, frozen=True, kw_only=True):
    """A branch: the way that was taken, by whom where somebody said so, and those that were not."""

    step: str
    taken: str
    by: str
    others: tuple[str, ...]


class Person(_Part, frozen=True, kw_only=True):
    """`name` is what their machine says of them, `logins` what the ledger's server says."""

    name: str
    logins: tuple[str, ...]
    did: tuple[str, ...]


class Report(_Part, frozen=True, kw_only=True):
    """`seconds` up to its last row. `result` is empty while the run has not ended."""

    run: str
    runbook: str
    title: str
    digest: str
    target: str
    by: str
    reason: str
    ticket: str
    params: dict[str, Any]
    began: datetime
    ended: datetime | None
    seconds: float
    result: str
    text: str
    stands: tuple[str, ...]
    summary: tuple[str, ...]
    timeline: tuple[Moment, ...]
    decisions: tuple[Moment, ...]
    effects: tuple[Effect, ...]
    verification: tuple[Moment, ...]
    evidence: tuple[Evidence, ...]
    ways: tuple[Way, ...]
    left_out: tuple[Moment, ...]
    notes: tuple[Moment, ...]
    handed_over: tuple[Moment, ...]
    failed: tuple[Moment, ...]
    rolled_back: tuple[Moment, ...]
    people: tuple[Person, ...]
    not_known: tuple[str, ...]
    rows_apart: tuple[str, ...]
