"""Sessions: client connections and background processes as the server reports them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

# The kind of the session that stands in a wait graph for a blocker the server does not tell.
UNSEEN_KIND = "unknown blocker"


class SessionKey(msgspec.Struct, frozen=True, order=True):
    """What actions are bound to: the number alone is reused, number and start are not.

    `started_at` is backend_start in PostgreSQL; MySQL and MariaDB have no session start, so it is the
    server's start there (connection ids are unique within one run of the server).
    """

    id: int
    started_at: datetime


class State(StrEnum):
    ACTIVE = "active"
    IDLE = "idle"
    IDLE_IN_TRANSACTION = "idle in transaction"
    ABORTED = "idle in transaction (aborted)"
    PREPARED = "prepared transaction"
    ENDING = "ending"
    BACKGROUND = "background"
    UNKNOWN = "unknown"


class Protection(StrEnum):
    """Classes of sessions that dbdeck refuses to end, each with its reason."""

    OWN = "a connection of dbdeck itself"
    WALSENDER = "a walsender: a standby or a change-data consumer reads from it"
    REPLICA = "a replica thread: stopping it breaks replication"
    WRAPAROUND = "an anti-wraparound vacuum: it starts again from zero, and the server stops without it"
    AUTOVACUUM = "autovacuum: it yields to lock waiters by itself"
    BACKUP = "a backup is running in it"
    SYNC_REP = (
        "a commit waiting for its synchronous standby: ending it does not undo it, "
        "it is committed here and may be missing there"
    )
    SERVER = "a process of the server itself"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session. Ages are seconds measured by the server's clock; None means unknown or none.

    `query` is the running statement when `state` is active, else the last one (PostgreSQL) or None.
    `visible` is False where the login lacks the privilege to see the session's details.
    """

    id: int
    started_at: datetime | None
    user: str | None = None
    database: str | None = None
    application: str | None = None
    client: str | None = None
    kind: str = "client backend"
    state: State = State.UNKNOWN
    query: str | None = None
    query_id: int | None = None
    query_seconds: float | None = None
    state_seconds: float | None = None
    transaction_seconds: float | None = None
    query_started_at: datetime | None = None
    transaction_started_at: datetime | None = None
    wait: str | None = None
    rows_modified: int | None = None
    prepared: str | None = None
    leader: int | None = None
    protection: Protection | None = None
    visible: bool = True

    @property
    def key(self) -> SessionKey | None:
        """None where the start is unknown: nothing can be done to such a session."""
        return None if self.started_at is None else SessionKey(self.id, self.started_at)

    @property
    def in_transaction(self) -> bool:
        return self.transaction_seconds is not None or self.state in (
            State.IDLE_IN_TRANSACTION,
            State.ABORTED,
        )


APPLICATION = "dbdeck"


def is_ours(application: str | None) -> bool:
    """Every connection of dbdeck announces itself as `dbdeck` or `dbdeck …`."""
    return application == APPLICATION or bool(application and application.startswith("dbdeck "))


def by_id(sessions: Iterable[Session]) -> dict[int, Session]:
    return {session.id: session for session in sessions}
