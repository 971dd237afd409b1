"""What a rotation does next, decided by what the store holds and what the server answers; never by a journal.

A rotation has two places that can disagree: the store of secrets, and the server. Each of its moves may be
cut off anywhere, so each can be told from those two alone and taken again.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from console.model.probe import Answer


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of an account in the store, each by the id of the rotation that made it; None is none.

    `current` may have been stored by hand and then has the id "".
    """

    current: str | None = None
    pending: str | None = None
    previous: str | None = None


class Move(StrEnum):
    """What comes next. The stops leave both secrets where they are."""

    STAGE = "stage"  # make a secret and store it as pending
    TRY_PENDING = "try pending"
    TRY_CURRENT = "try current"
    APPLY = "apply"  # tell the server the pending secret
    PROMOTE = "promote"  # previous := current, current := pending
    CLEAN = "clean"  # the pending entry says what the current one says
    DONE = "done"
    STOP_UNKNOWN = "unknown"  # the server does not say which secret is right
    STOP_FOREIGN = "foreign"  # it takes neither: somebody else changed the password, or the account


def next_move(
    rotation: str, held: Held, *, pending: Answer | None = None, current: Answer | None = None
) -> Move:
    """The move of the rotation with this id; `pending` and `current` are answers as far as they were asked.

    A pending secret is always tried before it is applied: to apply it twice would put it into the place of
    the old password where the server keeps two (MySQL's RETAIN CURRENT PASSWORD), and end the overlap.
    """
    if held.pending is None:
        return Move.DONE if held.current == rotation else Move.STAGE
    if held.pending == held.current:
        return Move.CLEAN
    if pending is None:
        return Move.TRY_PENDING
    if pending is Answer.ACCEPTED:
        return Move.PROMOTE
    if pending is Answer.UNKNOWN:
        return Move.STOP_UNKNOWN
    return _not_applied(held, current)


def _not_applied(held: Held, current: Answer | None) -> Move:
    """The server does not take the pending secret."""
    if held.current is None:
        return Move.APPLY
    if current is None:
        return Move.TRY_CURRENT
    if current is Answer.ACCEPTED:
        return Move.APPLY
    return Move.STOP_UNKNOWN if current is Answer.UNKNOWN else Move.STOP_FOREIGN
