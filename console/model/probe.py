"""What a login attempt says of a password."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class Answer(StrEnum):
    """What a login attempt says of a password. Unknown is not rejected: nothing is decided by a time-out."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One login attempt. Where it was let in: `identity` is the account the server took it for, `session`
    its number there, `at` the server's clock.
    """

    answer: Answer
    why: str = ""
    identity: str = ""
    session: int = 0
    at: datetime | None = None
