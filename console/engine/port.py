"""What an engine can read, and the connection an Operator drives. Both engines fulfil the same ports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from console.model.accounts import Account, Accounts
    from console.model.binary_logs import BinaryLogs
    from console.model.blocking import BlockingTree
    from console.model.checking import CheckSite
    from console.model.cluster import Cluster
    from console.model.deadlocks import DeadlockHistory
    from console.model.effects import Look, Seen
    from console.model.guessing import Stored
    from console.model.horizon import Horizon
    from console.model.indexes import Index, IndexHealth, IndexSite
    from console.model.inventory import Contents, Inventory, Wanted
    from console.model.overview import Outlook, Pulse
    from console.model.probe import Probe
    from console.model.progress import ProgressReport
    from console.model.replication import Slot
    from console.model.sessions import Session
    from console.model.settings import Setting
    from console.model.table_locks import Disk, Load, TableLock
    from console.model.tables import Bloat, Measurement, Relation, TableQuery, Tables
    from console.model.target import Check, ServerIdentity, Target
    from console.model.transactions import OpenTransaction
    from console.secrets import Secret

READ_SECONDS = 5.0
CONNECT_SECONDS = 8.0
Row = tuple[object, ...]


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """SQL for an effect, with bound arguments. `shown` is what people and the ledger see.

    `database` is the one it must run in, where that is not the target's own (PostgreSQL only: a
    prepared transaction or a logical slot belongs to a database); empty is any. `limits` are session
    settings it runs under, by the server's names; `lock_seconds` is how long it waits for a lock, None is
    the connection's own limit (2 s). A `command` gives no rows and may not stand in a transaction block,
    like VACUUM.
    """

    sql: str
    args: tuple[object, ...] = ()
    shown: str
    database: str = ""
    limits: tuple[tuple[str, str], ...] = ()
    lock_seconds: float | None = None
    command: bool = False


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A right that an effect takes. `own`: only the owner has it; else the privileges named (MySQL) or
    MAINTAIN (PostgreSQL 17+, owners and the database's owner before) on the table. `create`: something is
    made beside it in its schema, which takes CREATE there (PostgreSQL). `number` is its oid;
    schema and name are `*` for a privilege on everything. `role` is whose password is to be set (PostgreSQL).
    `enough` are privileges of which any one does instead (MySQL, MariaDB). `sessions_of`: a session of one of
    these users is to be ended. `setting` is one to be set, of `role`, `database`, or, without either, the
    server (PostgreSQL).
    """

    schema: str
    name: str
    number: int = 0
    own: bool = False
    create: bool = False
    privileges: tuple[str, ...] = ()
    enough: tuple[str, ...] = ()
    role: str = ""
    sessions_of: tuple[str, ...] = ()
    setting: str = ""
    database: str = ""


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a read as JSON data (`console.engine.plain`); `truncated`: there are more than were wanted."""

    rows: tuple[dict[str, Any], ...]
    truncated: bool = False


class MaintenanceReads(Protocol):
    """What vacuum, reindex, analyze and index health are decided by. The rules are those of `Engine`."""

    async def tables(self, wanted: TableQuery) -> Tables:
        """Tables of the connected database (MySQL, MariaDB: of every database), from catalogs and counters.

        No size function, no lock on a table: it answers while somebody holds AccessExclusive on one.
        """
        ...

    async def index_health(self) -> IndexHealth: ...

    async def indexes(self, wanted: TableQuery, names: Sequence[tuple[str, str]] = ()) -> tuple[Index, ...]:
        """The indexes of the tables asked for; with `names` (schema, index) only those, of any table.

        An empty schema is any (PostgreSQL).
        """
        ...

    async def index_site(self, schema: str, table: str) -> IndexSite:
        """What an index of this table could be built on. It waits for no lock on the table."""
        ...

    async def check_site(self, tables: Sequence[tuple[str, str]]) -> CheckSite:
        """What of these tables (schema, name) amcheck could look at.

        Raises UsageError on engines that look at tables as a whole.
        """
        ...

    async def relations(self, schema: str, name: str) -> tuple[Relation, ...]:
        """What is called so: tables, views and (PostgreSQL) whatever else shares their names. An empty
        schema is any but the system's.
        """
        ...

    async def progress(self) -> ProgressReport:
        """What reports progress now. The second look knows rates."""
        ...

    async def table_locks(self, tables: Sequence[tuple[str, str]]) -> tuple[TableLock, ...]:
        """Who holds or waits for a lock on these tables (schema, name) or their indexes; not ourselves."""
        ...

    async def load(self) -> Load: ...

    async def measurement(self, schema: str, name: str) -> Measurement:
        """What an exact look at a table or index would read. Raises UsageError when there is none."""
        ...

    async def measure(self, schema: str, name: str) -> Bloat:
        """The exact look: it reads the whole table. Raises UsageError where it cannot be taken, LockTimeout
        with the holder where its lock is not to be had.
        """
        ...

    async def disk(self, schema: str, name: str) -> Disk:
        """Free space where this table lies, as far as anybody can know it."""
        ...


class Snapshot(Protocol):
    """One moment of a database, held open: what is read by it is of that moment, whoever writes meanwhile."""

    @property
    def id(self) -> str:
        """What `pg_dump --snapshot` takes; empty on engines that cannot share one."""
        ...

    @property
    def taken_at(self) -> datetime:
        """By the server's clock."""
        ...

    @property
    def position(self) -> str:
        """The LSN, or the binary log's file, offset and GTID set; empty where there is none."""
        ...

    async def inventory(self) -> Inventory: ...

    async def contents(self, wanted: Wanted) -> Contents: ...


class ContentReads(Protocol):
    """What is in the databases of a server. Not for polling: each call has a connection of its own, which
    ends with it, and its limits are the caller's. The rules are those of `Engine`.
    """

    async def databases(self) -> tuple[str, ...]:
        """Those that hold users' data; no template, no system schema."""
        ...

    async def inventory(self, database: str) -> Inventory:
        """Every object of a database; of the server itself (roles, users, grants) where it is empty."""
        ...

    async def contents(self, database: str, wanted: Wanted) -> Contents:
        """Rows and checksums of its tables, the cheapest first, until the time given is up."""
        ...

    async def ask(self, database: str, sql: str, *, seconds: float) -> str | None:
        """The first value of the answer to a read of the user's own, as text; None for no row or NULL.

        It runs read-only. Raises ActionFailed with what the server said.
        """
        ...

    async def select(self, sql: str, args: Sequence[object], *, seconds: float, limit: int) -> Selected:
        """The answer to one read, with bound arguments (`$1` or `%s`), in a transaction that only reads.

        Names in it are looked for where the database says. Raises ActionFailed with what the server said.
        """
        ...

    def snapshot(self, database: str) -> AbstractAsyncContextManager[Snapshot]: ...


class Engine(MaintenanceReads, ContentReads, Protocol):
    """The reads of one target. Every method raises an Unreachable error or returns what it saw.

    A lost connection is opened again by the next call; nothing is retried inside a call.
    """

    @property
    def target(self) -> Target: ...

    async def identity(self) -> ServerIdentity:
        """Who answers now; asked anew on each call."""
        ...

    @property
    def answered_by(self) -> ServerIdentity | None:
        """Who answered when the connection of the reads was opened; another value for each connection, None
        while there is none. Nobody is asked.
        """
        ...

    @property
    def heard_at(self) -> float:
        """When the connection of the reads last brought an answer, in monotonic seconds."""
        ...

    async def sessions(self) -> tuple[Session, ...]: ...

    async def session(self, session_id: int) -> Session | None:
        """One session as it is now, or None when it is gone."""
        ...

    async def locks(self) -> BlockingTree:
        """The wait graph in the order of its tree; empty when nobody waits."""
        ...

    async def pulse(self) -> Pulse:
        """How the server is doing, by one short look; who waits behind whom only where somebody waits. What
        a privilege is missing for is None, with the GRANT.
        """
        ...

    async def cluster(self) -> Cluster | None:
        """The cluster that the server shares its writes with; None where it is a part of none."""
        ...

    async def numbers(self) -> Outlook:
        """How old the oldest transaction numbers are; empty on engines that do not run out of them."""
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

    async def binary_logs(self) -> BinaryLogs:
        """The binary log and who reads it. Raises UsageError where there is none, on engines that have none
        too.
        """
        ...

    async def setting(
        self, name: str, *, role: str = "", database: str = "", table: tuple[str, str] | None = None
    ) -> Setting | None:
        """One setting at one scope; None when the server knows no such name.

        `table` is (schema, name) for a storage parameter; an empty schema is any. Raises UsageError for a
        scope this engine does not have, and for what is not there.
        """
        ...

    async def probe(self, user: str, password: Secret) -> Probe:
        """One login attempt as `user`, on a connection of its own, by the way this target is reached.

        Never raises for what the server or the wire answers; a refusal may count against the account.
        """
        ...

    async def lacking(self, needs: Sequence[Need]) -> tuple[str, ...]:
        """What the target's operator certainly lacks, each with the GRANT, as far as this login can tell.
        Where nothing is said the operator's own connection may still say it.
        """
        ...

    async def accounts(self) -> Accounts:
        """Every account of the server, unjudged: without ages and order. It holds no verifier.

        Not for a short refresh: it reads catalogs.
        """
        ...

    async def own_account(self) -> Account | None:
        """That of this very login, by what each login may see of itself: not its age, nor whether an older
        password lets in, too. None where accounts may be seen anyway (PostgreSQL).
        """
        ...

    async def verifiers(self) -> tuple[Stored, ...]:
        """The verifiers of those who may log in, to try guesses on; never polled, never shown.

        Raises PrivilegeMissing with the GRANT.
        """
        ...

    async def showing(self, key: bytes | None, before: Look | None) -> Seen:
        """What the server shows of what operators do, and what its log tells since the look before.

        With the `key` of fingerprints passwords and settings that are texts can be compared, too. It holds no
        secret. Not for polling: it reads the catalogs of every database.
        """
        ...

    async def checks(self) -> tuple[Check, ...]:
        """What `doctor` shows: privileges by pane with the exact missing GRANT, TLS, clock, cost."""
        ...


class OperatorConnection(Protocol):
    """One pinned connection with the operator's identity. Only dispatch may open it."""

    @property
    def user(self) -> str: ...

    @property
    def session_id(self) -> int:
        """The number other sessions see this one by."""
        ...

    async def identity(self) -> ServerIdentity: ...

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:
        """Raises LockTimeout when a lock was not to be had, Cancelled when it was cancelled, ActionFailed
        when the server refused for another reason, OutcomeUnknown when its answer was lost.

        `timeout` is the client's deadline in seconds; None for what may take hours.
        """
        ...

    async def cancel(self) -> bool:
        """Ask the server, by another connection, to end the statement that runs on this one.

        False when nobody could be asked. What became of it is told by the `run` that waits for it.
        """
        ...

    def abandon(self) -> None:
        """Drop the connection: a `run` that waits raises OutcomeUnknown."""
        ...

    async def missing(self, needs: Sequence[Need]) -> tuple[str, ...]:
        """What this login certainly lacks, each with the GRANT; what cannot be told is not named."""
        ...

    async def hold(self, name: str) -> str | None:
        """Take the lock `name` on this connection; None when held now, else who holds it."""
        ...

    async def let_go(self, name: str) -> None: ...
