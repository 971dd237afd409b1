"""Who is still logged in with the password from before a rotation; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from console.model.sessions import Session
from console.model.target import ServerIdentity


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions of one client and application that began before the rotation."""

    client: str
    application: str
    sessions: int
    oldest: datetime | None = None


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """One account after a rotation. `older` sessions began before the new password was first seen to log in,
    `newer` ones since: they may have used either, while the old one is valid. Both are None where that cannot
    be told. `left` are the older ones.
    """

    user: str
    rotated_at: datetime | None
    overlap: bool
    older: int | None
    newer: int | None = None
    groups: tuple[Group, ...] = ()
    left: tuple[Session, ...] = ()

    @property
    def drained(self) -> bool:
        return self.older == 0


# MySQL and MariaDB tell their uptime in whole seconds.
_START = timedelta(seconds=2)


def drain(
    user: str,
    rotation: tuple[datetime | None, int],
    sessions: Iterable[Session],
    server: ServerIdentity,
    *,
    overlap: bool,
) -> Drain:
    """`rotation` is when the new password first logged in, by the server's clock, and as which session.

    PostgreSQL tells when each session began. MySQL and MariaDB number their connections in order, within one
    run of the server; those of an earlier run are gone.
    """
    rotated_at, number = rotation
    mine = [one for one in sessions if one.user == user]
    if any(not one.visible for one in mine) or rotated_at is None:
        return Drain(user=user, rotated_at=rotated_at, overlap=overlap, older=None)
    if server.started_at > rotated_at + _START:
        old: list[Session] = []
    elif server.flavor == "postgresql":
        old = [one for one in mine if one.started_at is None or one.started_at < rotated_at]
    else:
        old = [one for one in mine if one.id < number]
    return Drain(
        user=user,
        rotated_at=rotated_at,
        overlap=overlap,
        older=len(old),
        newer=len(mine) - len(old),
        groups=groups(old, exact=server.flavor == "postgresql"),
        left=tuple(old),
    )


def group_of(session: Session) -> tuple[str, str]:
    return session.client or "", session.application or ""


def groups(old: Iterable[Session], *, exact: bool) -> tuple[Group, ...]:
    """The largest first."""
    kept = list(old)
    counts = Counter(map(group_of, kept))
    starts = {
        key: min((one.started_at for one in kept if group_of(one) == key and one.started_at), default=None)
        for key in counts
    }
    return tuple(
        Group(client=client, application=application, sessions=number,
              oldest=starts[client, application] if exact else None)
        for (client, application), number in counts.most_common()
    )  # fmt: skip
