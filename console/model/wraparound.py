"""How far a PostgreSQL server is from running out of transaction numbers, and when it would.

Limits: varsup.c (SetTransactionIdLimit), multixact.c (SetMultiXactIdLimit); PostgreSQL manual 24.1.5.
"""

from __future__ import annotations

import msgspec

WRAP = (1 << 31) - 1  # numbers between the oldest row's and the newest


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Ages at which the server does something about it; `stop` is where it gives out no more numbers."""

    freeze: int  # autovacuum_freeze_max_age, autovacuum_multixact_freeze_max_age
    failsafe: int | None  # vacuum_failsafe_age; None before 14
    warn: int
    stop: int


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of number: its oldest age, who has it, and how fast new ones are given out.

    `rate` is numbers a second; None where nobody knows yet. `database` has the oldest age of the
    server; `table` that of the connected database.
    """

    kind: str  # xid | multixact
    age: int
    limits: Limits
    database: str = ""
    table: str = ""
    table_age: int | None = None
    rate: float | None = None

    def seconds_to(self, limit: int | None) -> float | None:
        """Until the age reaches `limit` at today's rate; 0 when it is there, None when it is not known."""
        if limit is None:
            return None
        if self.age >= limit:
            return 0.0
        if not self.rate:
            return None
        return (limit - self.age) / self.rate


class Wraparound(msgspec.Struct, frozen=True, kw_only=True):
    """Both kinds of numbers; `finishes_first` is whether the running vacuum of the oldest table ends
    before the stop, None where that cannot be told; `sentence` says so.
    """

    xid: Numbers
    mxid: Numbers
    finishes_first: bool | None = None
    sentence: str = ""


def xid_limits(version: int, freeze: int, failsafe: int | None) -> Limits:
    """PostgreSQL 14-18 warn at 40 M left and stop at 3 M; 13 at 11 M and 1 M; 19 warns at 100 M."""
    if version >= 190000:
        warn, stop = 100_000_000, 3_000_000
    elif version >= 140000:
        warn, stop = 40_000_000, 3_000_000
    else:
        warn, stop = 11_000_000, 1_000_000
    return Limits(freeze=freeze, failsafe=failsafe, warn=WRAP - warn, stop=WRAP - stop)


def race(age: Numbers, vacuum_eta: float | None, vacuum: str) -> tuple[bool | None, str]:
    """Whether a running vacuum of the oldest table ends before numbers do; `vacuum` names it."""
    left = age.seconds_to(age.limits.stop)
    if not vacuum:
        return None, ""
    if left is None or vacuum_eta is None:
        return None, f"{vacuum} runs; whether it ends in time is not known yet"
    if vacuum_eta < left:
        return True, f"{vacuum} will finish first"
    return False, f"{vacuum} will NOT finish before the stop: raise its cost limit, or lower the burn rate"
