"""What this console started: what runs, and what has ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    PARTLY = "partly done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """An action, or a runbook with the id of its `run`. `share` is how far its phase is, of 1; `eta` seconds.

    `result` are the lines that told its end.
    """

    number: int
    name: str
    target: str
    started_at: datetime
    ended_at: datetime | None = None
    state: JobState = JobState.RUNNING
    said: str = ""
    share: float | None = None
    eta: float | None = None
    result: tuple[str, ...] = ()
    run: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()
