"""Whether an account's verifier is still the one our last rotation set, or somebody else set another. Pure.

Unknown is neither: without a fingerprint, its key, or a look at the verifier nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from console.model.verifiers import Verifier, fingerprint, key_id


class Drift(StrEnum):
    SAME = "same"
    CHANGED = "changed"  # by none of our rotations
    UNKNOWN = "unknown"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """`since` is when it was last known to be ours: set then by our rotation where `exact`, else seen then.

    `seen_at` is when the verifier was looked at. `why` says what is unknown; empty where dbdeck never rotated
    the account.
    """

    drift: Drift = Drift.UNKNOWN
    since: datetime | None = None
    exact: bool = False
    seen_at: datetime | None = None
    why: str = ""

    @property
    def told(self) -> bool:
        """Whether there is anything to say: dbdeck rotated the account once."""
        return self.drift is not Drift.UNKNOWN or bool(self.why)


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The last rotation of an account, by the ledger. `fingerprint` None: it left none; `key` is the id of
    the key it was made with, `server` where it was. `at` is that server's clock; `exact` as in Compared.
    `unsettled`: the end of a later rotation is not known.
    """

    at: datetime
    fingerprint: str | None = None
    key: str = ""
    exact: bool = False
    server: str = ""
    unsettled: bool = False


class Drifts(msgspec.Struct, frozen=True, kw_only=True):
    """Of all accounts that were compared; of others nothing is known. `notes` say what could not be seen."""

    of: Mapping[tuple[str, str | None], Compared] = {}
    notes: tuple[str, ...] = ()


NO_FINGERPRINT = "its last rotation left no fingerprint"
OTHER_KEY = "its fingerprint was made with the key of another installation"
UNSETTLED = "a rotation of it has not ended: if none runs now, `dbdeck audit reconcile`"
OTHER_SERVER = "it was rotated on another server than this one"


def unreadable(known: Rotated, key: bytes | None) -> str:
    """Why no look at the verifier would tell anything; empty where one would."""
    if known.fingerprint is None:
        return UNSETTLED if known.unsettled else NO_FINGERPRINT
    return OTHER_KEY if key is None or known.key != key_id(key) else ""


def compare(
    known: Rotated,
    key: bytes,
    kept: Sequence[Verifier | None],
    here: tuple[str, datetime | None],
    same_at: datetime | None = None,
) -> Compared:
    """`kept` is what the server has now: none is no password, and None is a malformed one. Ours among several
    is ours. `here` is the server's id and clock, `same_at` when it was last seen to be the same.
    """
    server, now = here
    why = unreadable(known, key)
    if why:
        return Compared(why=why)
    if known.fingerprint in {fingerprint(key, one) for one in kept if one is not None}:
        return Compared(drift=Drift.SAME, since=known.at, exact=known.exact, seen_at=now)
    if known.unsettled:
        return Compared(why=UNSETTLED)
    if known.server != server:
        return Compared(why=OTHER_SERVER)
    return Compared(drift=Drift.CHANGED, since=max(known.at, same_at or known.at), seen_at=now)
