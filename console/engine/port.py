"""What an engine can read, and the connection an Operator drives. Both engines fulfil the same ports."""

from __future__ import annotations

from typing import Protocol

import msgspec

from console.model.blocking import LockNode
from console.model.sessions import Session
from console.model.target import Check, ServerIdentity, Target

READ_SECONDS = 5.0
CONNECT_SECONDS = 8.0
Row = tuple[object, ...]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """SQL for an effect, with bound arguments. `shown` is what people and the ledger see."""

    sql: str
    args: tuple[object, ...] = ()
    shown: str


class Engine(Protocol):
    """The reads of one target. Every method raises an Unreachable error or returns what it saw.

    A lost connection is opened again by the next call; nothing is retried inside a call.
    """

    @property
    def target(self) -> Target: ...

    async def identity(self) -> ServerIdentity:
        """Who answers now; asked anew on each call."""
        ...

    async def sessions(self) -> tuple[Session, ...]: ...

    async def session(self, session_id: int) -> Session | None:
        """One session as it is now, or None when it is gone."""
        ...

    async def locks(self) -> tuple[LockNode, ...]:
        """The wait graph in the order of its tree; empty when nobody waits."""
        ...

    async def checks(self) -> tuple[Check, ...]:
        """What `doctor` shows: privileges by pane with the exact missing GRANT, TLS, clock, cost."""
        ...


class OperatorConnection(Protocol):
    """One pinned connection with the operator's identity. Only dispatch may open it."""

    @property
    def user(self) -> str: ...

    async def identity(self) -> ServerIdentity: ...

    async def run(self, statement: Statement, *, timeout: float) -> list[Row]:
        """Raises ActionFailed when the server refused, OutcomeUnknown when its answer was lost."""
        ...

    async def hold(self, name: str) -> str | None:
        """Take the lock `name` on this connection; None when held now, else who holds it."""
        ...

    async def let_go(self, name: str) -> None: ...
