"""The drain board: every account of a target with an old password that is kept or valid; pure, no secret."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec

from console.errors import DbdeckError
from console.model.accounts import Account, label
from console.model.drain import Drain, drain, group_of, groups
from console.model.sessions import Session, State
from console.model.target import ServerIdentity

_IDLE = (State.IDLE_IN_TRANSACTION, State.ABORTED)
_MAGIC = str.maketrans({char: f"[{char}]" for char in "*?["})


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the store of secrets holds of an account. `rotation`, `proved_at` and `session` are of the
    current password, by the rotation that made it; empty where it was stored by hand, and `current` false
    where there is none. `pending` is the rotation that left one, "" one that was stored by hand; None is
    none. `turn_over` is the one of two roles that take turns who logged in before, `turn` the one who
    does now; empty where the account is one. `users` are whom its entries are for.
    """

    rotation: str = ""
    proved_at: datetime | None = None
    session: int = 0
    current: bool = False
    pending: str | None = None
    previous: bool = False
    turn: str = ""
    turn_over: str = ""
    users: frozenset[str] = frozenset()

    @property
    def telling(self) -> bool:
        return self.previous or self.pending is not None


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """One account with all its hosts. `kept` None: the store could not be asked. `overlap` is the server's
    word for two valid passwords, `changed_at` that for when the password changed; None is unknown.
    `gone`: the server has no such account any more, and this is the entry that is left of it.
    `action` is the ledger's of the rotation that broke off, `rivals` are the account's sessions since.
    """

    user: str
    hosts: tuple[str, ...] = ()
    seen: Drain
    kept: Kept | None = None
    overlap: bool | None = None
    changed_at: datetime | None = None
    gone: str = ""
    action: str = ""
    rivals: tuple[Session, ...] = ()

    @property
    def pending(self) -> str | None:
        return None if self.kept is None else self.kept.pending

    @property
    def paired(self) -> bool:
        """Two roles take turns: only the ledger's action knows the other one."""
        return self.kept is not None and bool(self.kept.users - {"", self.user})

    @property
    def rotated_at(self) -> datetime | None:
        """When the new password was first seen to log in; else when the server says that it changed."""
        return self.seen.rotated_at or self.changed_at

    @property
    def ready(self) -> bool:
        """Nobody is left from before, and nothing stands against `credential.retire`."""
        return self.seen.drained and self.pending is None and not self.gone


class DrainBoard(msgspec.Struct, frozen=True, kw_only=True):
    """`now` is the server's clock. `store` is its name, "" where there is none; `problem` is why what it
    holds is not known: then only what the server itself tells is here. `unknown` accounts may have two
    passwords or not.
    """

    accounts: tuple[Draining, ...] = ()
    now: datetime | None = None
    store: str = ""
    problem: DbdeckError | None = None
    unknown: int = 0
    notes: tuple[str, ...] = ()

    @property
    def broken_off(self) -> tuple[str, ...]:
        """The rotations that left a pending password."""
        return tuple(one.pending for one in self.accounts if one.pending and not one.gone)


def by_user(accounts: Iterable[Account]) -> dict[str, tuple[Account, ...]]:
    """A rotation is that of a user with all its rows."""
    found: dict[str, list[Account]] = {}
    for one in accounts:
        found.setdefault(one.name, []).append(one)
    return {user: tuple(rows) for user, rows in found.items()}


def overlapping(rows: Sequence[Account]) -> bool | None:
    answers = [one.overlap for one in rows]
    return True if any(answers) else None if None in answers else False


def draining(
    rows: Sequence[Account],
    kept: Kept | None,
    sessions: Sequence[Session] | None,
    server: ServerIdentity,
    over: Sequence[Account] = (),
) -> Draining:
    """`sessions` None: they may not be seen. `over` are the rows of `turn_over`."""
    user, two = rows[0].name, overlapping(rows)
    proved = (kept.proved_at, kept.session) if kept is not None and kept.rotation else (None, 0)
    if kept is not None and kept.turn_over:
        two = any(one.may_login for one in over)
        seen = _other_turn(kept, sessions, overlap=two)
    elif sessions is None:
        seen = Drain(user=user, rotated_at=proved[0], overlap=bool(two), older=None)
    else:
        seen = drain(user, proved, sessions, server, overlap=bool(two))
    left = {one.id for one in seen.left}
    return Draining(
        user=user,
        hosts=tuple(label(*one.key) for one in rows if one.host is not None),
        seen=seen,
        kept=kept,
        overlap=two,
        changed_at=max((one.changed_at for one in rows if one.changed_at), default=None),
        rivals=tuple(one for one in sessions or () if one.user == seen.user and one.id not in left),
    )


def _other_turn(kept: Kept, sessions: Sequence[Session] | None, *, overlap: bool) -> Drain:
    """Whoever is logged in as the role whose turn is over is from before, whenever the session began."""
    left = tuple(one for one in sessions or () if one.user == kept.turn_over)
    known = sessions is not None and all(one.visible for one in left)
    return Drain(
        user=kept.turn_over,
        rotated_at=kept.proved_at,
        overlap=overlap,
        older=len(left) if known else None,
        newer=sum(one.user == kept.turn for one in sessions or ()) if known else None,
        groups=groups(left, exact=True) if known else (),
        left=left if known else (),
    )


def ordered(found: Iterable[Draining]) -> tuple[Draining, ...]:
    """What broke off first, then what can be retired, then those with the fewest to go; unknown after them,
    and those whose account is gone last.
    """

    def place(one: Draining) -> tuple[bool, bool, bool, int, str]:
        return bool(one.gone), one.pending is None, one.seen.older is None, one.seen.older or 0, one.user

    return tuple(sorted(found, key=place))


# ---- ending sessions, in stages --------------------------------------------------------------


def next_to_end(seen: Drain) -> Session | None:
    """Of the sessions from before: the idle ones first, then those idle in a transaction, then those at work;
    of each the oldest. Protected ones are never proposed.
    """
    for states in ((State.IDLE,), _IDLE, (State.ACTIVE, State.UNKNOWN)):
        fit = [one for one in seen.left if one.state in states and one.protection is None]
        if fit:
            return min(fit, key=_age)
    return None


def _age(session: Session) -> tuple[float, int]:
    """In MySQL and MariaDB all began with the server: their numbers are their order."""
    return (session.started_at.timestamp() if session.started_at else 0.0, session.id)


def idle_group(one: Draining) -> dict[str, object] | None:
    """The arguments of `session.terminate_idle` for the largest group from before that is idle in
    transactions, two at least; None where no pattern means these and nobody else.
    """
    found: dict[tuple[str, str], list[Session]] = {}
    for session in one.seen.left:
        if session.state in _IDLE and session.protection is None:
            found.setdefault(group_of(session), []).append(session)
    for sessions in sorted(found.values(), key=len, reverse=True):
        given = {"user": one.seen.user, "client": sessions[0].client, "application": sessions[0].application}
        if len(sessions) > 1 and all(given.values()) and not _others(given, one.rivals):
            patterns = {name: str(value).translate(_MAGIC) for name, value in given.items()}
            least = min(session.state_seconds or 0.0 for session in sessions)
            return {"older_than": f"{int(least)}s", **patterns, "limit": len(sessions)}
    return None


def _others(given: dict[str, str | None], rivals: Collection[Session]) -> bool:
    """Whether a session that is not from before would be ended, too."""
    return any(
        session.state in _IDLE and all(getattr(session, name) == value for name, value in given.items())
        for session in rivals
    )
