"""What an engine can read, and the connection an Operator drives. Both engines fulfil the same ports."""

from __future__ import annotations

from typing import Protocol

import msgspec

from console.model.blocking import BlockingTree
from console.model.deadlocks import DeadlockHistory
from console.model.horizon import Horizon
from console.model.replication import Slot
from console.model.sessions import Session
from console.model.settings import Setting
from console.model.target import Check, ServerIdentity, Target
from console.model.transactions import OpenTransaction

READ_SECONDS = 5.0
CONNECT_SECONDS = 8.0
Row = tuple[object, ...]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """SQL for an effect, with bound arguments. `shown` is what people and the ledger see.

    `database` is the one it must run in, where that is not the target's own (PostgreSQL only: a
    prepared transaction or a logical slot belongs to a database); empty is any.
    """

    sql: str
    args: tuple[object, ...] = ()
    shown: str
    database: str = ""


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

    async def locks(self) -> BlockingTree:
        """The wait graph in the order of its tree; empty when nobody waits."""
        ...

    async def transactions(self) -> tuple[OpenTransaction, ...]:
        """Every open transaction, prepared ones too, the oldest first; idle sessions without one are not."""
        ...

    async def horizon(self) -> Horizon:
        """What keeps vacuum or purge from cleaning, ranked, and how much waits for it."""
        ...

    async def deadlocks(self) -> DeadlockHistory:
        """The deadlocks this engine object has seen or the server still tells of.

        Cheap when nothing happened: details are fetched only when the server's counter moved.
        """
        ...

    async def slots(self) -> tuple[Slot, ...]:
        """Replication slots; empty on engines that have none."""
        ...

    async def setting(self, name: str, *, role: str = "", database: str = "") -> Setting | None:
        """One setting at one scope; None when the server knows no such name.

        Raises UsageError for a scope this engine does not have.
        """
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
