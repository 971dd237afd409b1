"""Fakes that implement the ports, and builders for values; they pass the contract tests too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from console.engine.port import Need, Row, Selected, Statement
from console.errors import OutcomeUnknown, UsageError
from console.model.accounts import Account, Accounts
from console.model.binary_logs import BinaryLogs
from console.model.blocking import BlockingTree, blocking_forest
from console.model.checking import CheckSite
from console.model.cluster import Cluster
from console.model.deadlocks import DeadlockHistory
from console.model.effects import Look, Seen
from console.model.guessing import Stored
from console.model.horizon import Horizon
from console.model.indexes import Index, IndexHealth, IndexSite
from console.model.inventory import Contents, Inventory, Wanted
from console.model.locks import Claim, Wait, wait_graph
from console.model.overview import Outlook, Pulse, queue_of
from console.model.probe import Answer, Probe
from console.model.progress import ProgressReport
from console.model.replication import Slot
from console.model.sessions import Session, State, by_id
from console.model.settings import Setting
from console.model.table_locks import Disk, Load, TableLock
from console.model.tables import Bloat, Measurement, Relation, Table, TableQuery, Tables
from console.model.target import Check, EngineKind, Environment, Login, ServerIdentity, Target
from console.model.transactions import OpenTransaction, oldest_first
from console.secret_store import try_out
from console.secrets import Secret, split_name

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
STARTED = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
TARGET = Target(
    name="shop",
    engine=EngineKind.POSTGRES,
    host="db1",
    port=5432,
    database="shop",
    environment=Environment.DEV,
    monitor=Login(user="dbdeck_monitor"),
    operator=Login(user="dbdeck_operator"),
)
IDENTITY = ServerIdentity(
    flavor="postgresql",
    version="18.1",
    version_num=180001,
    system_id="7123456789",
    started_at=STARTED,
    primary=True,
    tls="TLSv1.3",
    user="dbdeck_monitor",
    database="shop",
)


def make_session(session_id: int, **over: Any) -> Session:
    values: dict[str, Any] = {
        "id": session_id,
        "started_at": STARTED,
        "user": "shop_web",
        "database": "shop",
        "application": f"app-{session_id}",
        "client": "10.0.0.7",
        "state": State.ACTIVE,
        "query": f"update orders set n = {session_id}",
        "query_seconds": 12.0,
        "state_seconds": 12.0,
        "transaction_seconds": 20.0,
        "query_started_at": NOW,
        "transaction_started_at": NOW,
    }
    if over.get("state") in (State.IDLE_IN_TRANSACTION, State.ABORTED):
        values["wait"] = "Client/ClientRead"
    return Session(**values | over)


def storm(waiters: int = 3) -> list[Session]:
    """Session 1 idle in transaction; the others queue behind it (see ScriptedEngine)."""
    root = make_session(1, state=State.IDLE_IN_TRANSACTION, application="checkout")
    return [root, *(make_session(n) for n in range(2, waiters + 2))]


class ScriptedSnapshot:
    """A moment of a scripted engine's database."""

    id, position, taken_at = "00000003-1", "0/1500000", NOW

    def __init__(self, engine: ScriptedEngine, database: str) -> None:
        self._engine = engine
        self._database = database

    async def inventory(self) -> Inventory:
        return await self._engine.inventory(self._database)

    async def contents(self, wanted: Wanted) -> Contents:
        return await self._engine.contents(self._database, wanted)


class ScriptedEngine:
    """An Engine over a list of sessions: the first holds a row, all others that are active want it.

    With `tree` set the wait graph is that one instead, whoever is there. `open`, `held_slots`, `settings`
    and `cleanup` are what the other reads answer; sessions in a transaction are open transactions too.
    """

    def __init__(self, sessions: list[Session], target: Target = TARGET) -> None:
        self.target = target
        self.list = list(sessions)
        self.server = IDENTITY
        self.tree: BlockingTree | None = None
        self.open: list[OpenTransaction] = []
        self.held_slots: list[Slot] = []
        self.settings: dict[tuple[str, str, str], Setting] = {}
        self.cleanup = Horizon()
        self.history = DeadlockHistory()
        self.shop: list[Table] = []
        self.index_list: list[Index] = []
        self.health = IndexHealth()
        self.at_work = ProgressReport()
        self.locked: list[TableLock] = []
        self.pressure = Load(running=1)
        self.beat = Pulse(at=1000.0, started=0.0, connections=5, most=97, work={"1": 0}, wal=0, xid=700)
        self.ahead = Outlook()
        self.passwords: dict[str, set[str]] = {}
        self.probed: list[tuple[str, Answer]] = []
        self.lacks: tuple[str, ...] = ()
        self.people = Accounts()
        self.kept: tuple[Stored, ...] = ()
        self.inventories: dict[str, Inventory] = {}
        self.rows: dict[str, Contents] = {}
        self.answers: dict[str, str] = {}
        self.selected: dict[str, list[dict[str, Any]]] = {}
        self.fail: Exception | None = None
        self.before_read: Callable[[], Any] = lambda: None
        self.connected_to: ServerIdentity | None = (
            None  # who answered when a connection was opened that lasts
        )

    async def identity(self) -> ServerIdentity:
        await self._read()
        return self.server

    @property
    def answered_by(self) -> ServerIdentity:
        return self.connected_to or self.server

    @property
    def heard_at(self) -> float:
        return float("-inf")

    async def sessions(self) -> tuple[Session, ...]:
        await self._read()
        return tuple(self.list)

    async def session(self, session_id: int) -> Session | None:
        await self._read()
        return by_id(self.list).get(session_id)

    async def locks(self) -> BlockingTree:
        await self._read()
        if self.tree is not None:
            return self.tree
        if not any(session.id == 1 for session in self.list):
            return BlockingTree()
        waiting = [session for session in self.list if session.id != 1]
        claims = [Claim(session=1, object="row", mode="X", granted=True)]
        claims += [
            Claim(session=session.id, object="row", mode="X", granted=False, since=float(session.id))
            for session in waiting
        ]
        waits = {one.id: Wait(object="row of orders", mode="X", seconds=12.0) for one in self.list}
        graph = wait_graph(claims, {"X": frozenset({"X"})})
        return blocking_forest(graph, by_id(self.list), waits) if waiting else BlockingTree()

    async def transactions(self) -> tuple[OpenTransaction, ...]:
        await self._read()
        known = {one.session.id for one in self.open}
        more = [
            OpenTransaction(session=one) for one in self.list if one.in_transaction and one.id not in known
        ]
        return oldest_first((*self.open, *more))

    async def horizon(self) -> Horizon:
        await self._read()
        return self.cleanup

    async def deadlocks(self) -> DeadlockHistory:
        await self._read()
        return self.history

    async def slots(self) -> tuple[Slot, ...]:
        await self._read()
        return tuple(self.held_slots)

    async def binary_logs(self) -> BinaryLogs:
        await self._read()
        raise UsageError("there is no binary log here")

    async def setting(
        self, name: str, *, role: str = "", database: str = "", table: tuple[str, str] | None = None
    ) -> Setting | None:
        await self._read()
        return self.settings.get((name, role, ".".join(table) if table else database))

    async def tables(self, wanted: TableQuery) -> Tables:
        await self._read()
        named = [one for one in self.shop if not wanted.names or (one.schema, one.name) in wanted.names]
        fits = [one for one in named if fnmatchcase(one.name, wanted.pattern or "*")]
        return Tables(tables=tuple(fits[: wanted.limit]), total=len(self.shop), order=wanted.order)

    async def index_health(self) -> IndexHealth:
        await self._read()
        return self.health

    async def indexes(self, wanted: TableQuery, names: Sequence[tuple[str, str]] = ()) -> tuple[Index, ...]:
        await self._read()
        named = [one for one in self.index_list if not names or (one.schema, one.name) in names]
        tables = wanted.names
        return tuple(one for one in named if not tables or (one.schema, one.table) in tables)

    async def index_site(self, schema: str, table: str) -> IndexSite:
        await self._read()
        return IndexSite()

    async def check_site(self, tables: Sequence[tuple[str, str]]) -> CheckSite:
        await self._read()
        return CheckSite(extension="", relations=())

    async def relations(self, schema: str, name: str) -> tuple[Relation, ...]:
        await self._read()
        return tuple(
            Relation(schema=one.schema, name=one.name, kind=str(one.kind))
            for one in self.shop
            if one.name == name and schema in ("", one.schema)
        )

    async def progress(self) -> ProgressReport:
        await self._read()
        return self.at_work

    async def databases(self) -> tuple[str, ...]:
        await self._read()
        return tuple(name for name in self.inventories if name)

    async def inventory(self, database: str) -> Inventory:
        await self._read()
        return self.inventories.get(
            database, Inventory(database=database, flavor="postgresql", version=18, objects={})
        )

    async def contents(self, database: str, wanted: Wanted) -> Contents:
        await self._read()
        return self.rows.get(database, Contents(database=database))

    async def ask(self, database: str, sql: str, *, seconds: float) -> str | None:
        await self._read()
        return self.answers.get(sql)

    async def select(self, sql: str, args: Sequence[object], *, seconds: float, limit: int) -> Selected:
        await self._read()
        rows = self.selected.get(sql, [])
        return Selected(rows=tuple(rows[:limit]), truncated=len(rows) > limit)

    @asynccontextmanager
    async def snapshot(self, database: str) -> AsyncIterator[ScriptedSnapshot]:
        await self._read()
        yield ScriptedSnapshot(self, database)

    async def table_locks(self, tables: Sequence[tuple[str, str]]) -> tuple[TableLock, ...]:
        await self._read()
        return tuple(one for one in self.locked if one.table in {".".join(name) for name in tables})

    async def pulse(self) -> Pulse:
        tree = await self.locks()
        waiting = sum(1 for node in tree if node.edge)
        self.beat = msgspec.structs.replace(self.beat, at=self.beat.at + 2)
        return msgspec.structs.replace(self.beat, waiting=waiting, queue=queue_of(tree) if waiting else None)

    async def cluster(self) -> Cluster | None:
        await self._read()
        return self.beat.cluster

    async def numbers(self) -> Outlook:
        await self._read()
        return self.ahead

    async def load(self) -> Load:
        await self._read()
        return self.pressure

    async def measurement(self, schema: str, name: str) -> Measurement:
        return Measurement(subject=f"{schema}.{name}", bytes=8192, how="reads it", lock="AccessShareLock")

    async def measure(self, schema: str, name: str) -> Bloat:
        await self._read()
        return Bloat(wasted=0, low=0, high=0, exact=True)

    async def disk(self, schema: str, name: str) -> Disk:
        return Disk(why="the server is remote")

    async def lacking(self, needs: Sequence[Need]) -> tuple[str, ...]:
        await self._read()
        return self.lacks

    async def accounts(self) -> Accounts:
        await self._read()
        return self.people

    async def own_account(self) -> Account | None:
        await self._read()
        return None

    async def verifiers(self) -> tuple[Stored, ...]:
        await self._read()
        return self.kept

    async def showing(self, key: bytes | None, before: Look | None) -> Seen:
        del key, before
        await self._read()
        look = Look(
            taken_at=NOW, server=IDENTITY.system_id, flavor=IDENTITY.flavor, started_at=IDENTITY.started_at
        )
        return Seen(look=look)

    async def checks(self) -> tuple[Check, ...]:
        await self._read()
        return (Check(name="sessions and locks", ok=True, detail="sees every session"),)

    async def probe(self, user: str, password: Secret) -> Probe:
        """By `passwords`; a server that fails gives no answer."""
        if self.fail is not None:
            return Probe(answer=Answer.UNKNOWN, why=str(self.fail))
        right = password.reveal() in self.passwords.get(user, set())
        self.probed.append((user, Answer.ACCEPTED if right else Answer.REJECTED))
        return Probe(answer=self.probed[-1][1], identity=user if right else "")

    async def close(self) -> None:
        return

    async def _read(self) -> None:
        result = self.before_read()
        if result is not None:
            await result
        if self.fail is not None:
            raise self.fail

    def end(self, session_id: int) -> None:
        self.list = [session for session in self.list if session.id != session_id]

    def change(self, session_id: int, **over: Any) -> None:
        self.list = [
            msgspec.structs.replace(one, **over) if one.id == session_id else one for one in self.list
        ]


class ScriptedOperator:
    """An OperatorConnection that ends sessions of a ScriptedEngine and keeps what it was sent."""

    user = "dbdeck_operator"

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.sent: list[Statement] = []
        self.held: set[str] = set()
        self.holder: str | None = None
        self.fail: Exception | None = None
        self.answer: list[Row] = [(True, False)]
        self.ends: int | None = 1
        self.before_answer: Callable[[], Any] = lambda: None

    async def identity(self) -> ServerIdentity:
        return self.engine.server

    session_id = 77

    async def cancel(self) -> bool:
        return True

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:
        self.sent.append(statement)
        waited = self.before_answer()
        if waited is not None:
            await waited
        if self.fail is not None:
            raise self.fail
        if self.ends is not None:
            self.engine.end(self.ends)
        return self.answer

    def abandon(self) -> None:
        self.fail = OutcomeUnknown("shop: the answer was lost")

    async def missing(self, needs: Sequence[Need]) -> tuple[str, ...]:
        return ()

    async def hold(self, name: str) -> str | None:
        if self.holder is None:
            self.held.add(name)
        return self.holder

    async def let_go(self, name: str) -> None:
        self.held.discard(name)

    @asynccontextmanager
    async def open(self, target: Target) -> AsyncIterator[ScriptedOperator]:
        yield self


class MemoryStore:
    """A SecretStore in a dictionary. `fail` is raised instead of an answer, by name of the call."""

    name = "memory"
    folder: Path | None = None

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Secret] = {}
        self.fail: dict[str, Exception] = {}
        self.calls: list[tuple[str, str]] = []

    async def get(self, name: str) -> Secret | None:
        return self.entries.get(self._called("get", name))

    async def some(self, names: Sequence[str]) -> dict[str, Secret]:
        found = {name: await self.get(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    async def names(self) -> tuple[str, ...] | None:
        return tuple(f"{service}/{entry}" for service, entry in self.entries)

    async def put(self, name: str, secret: Secret) -> None:
        self.entries[self._called("put", name)] = secret

    async def claim(self, name: str, secret: Secret) -> Secret | None:
        return self.entries.setdefault(self._called("claim", name), secret)

    async def delete(self, name: str) -> bool:
        return self.entries.pop(self._called("delete", name), None) is not None

    async def canary(self) -> None:
        await try_out(self)

    def _called(self, call: str, name: str) -> tuple[str, str]:
        self.calls.append((call, name))
        if call in self.fail:
            raise self.fail[call]
        return split_name(name)
