"""What a login attempt says of a password."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Answer(StrEnum):
    """What a login attempt says of a password. Unknown is not rejected: nothing is decided by a time-out."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One login attempt. `identity` is the account the server took it for, where it let us in."""

    answer: Answer
    why: str = ""
    identity: str = ""
