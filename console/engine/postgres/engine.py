"""Reads of a PostgreSQL server. Each is one module, imported when it is first asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from console.engine.postgres.link import Link, identify
from console.engine.postgres.waits import Waits
from console.errors import LockTimeout, UsageError
from console.model.blocking import BlockingTree
from console.model.cluster import Cluster

if TYPE_CHECKING:
    from console.engine.port import Need, Selected
    from console.engine.postgres import snapshot
    from console.engine.postgres.deadlocks import Deadlocks
    from console.engine.postgres.progress import ProgressReader
    from console.engine.postgres.tables import TableReader
    from console.model.accounts import Accounts
    from console.model.binary_logs import BinaryLogs
    from console.model.checking import CheckSite
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

__all__ = ["PostgresEngine", "identify"]


class PostgresEngine:
    """One polling connection of the monitor identity, opened when first needed and again when lost."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._link = Link(target)
        self._waits = Waits(self._link)
        self._busy = asyncio.Lock()

    @cached_property
    def _deadlocks(self) -> Deadlocks:
        from console.engine.postgres.deadlocks import Deadlocks

        return Deadlocks(self._link)

    @cached_property
    def _progress(self) -> ProgressReader:
        from console.engine.postgres.progress import ProgressReader

        return ProgressReader(self._link, self._waits)

    @cached_property
    def _tables(self) -> TableReader:
        from console.engine.postgres.tables import TableReader

        return TableReader(self._link, self._waits, self._progress)

    async def close(self) -> None:
        if "_deadlocks" in self.__dict__:
            self._deadlocks.close()
        await self._link.close()

    @property
    def answered_by(self) -> ServerIdentity | None:
        return self._link.answered_by

    @property
    def heard_at(self) -> float:
        return self._link.heard_at

    async def identity(self) -> ServerIdentity:
        async with self._busy:
            connection, _ = await self._link.connected()
            return await identify(connection, self.target)

    async def sessions(self) -> tuple[Session, ...]:
        async with self._busy:
            return (await self._waits.activity()).sessions

    async def session(self, session_id: int) -> Session | None:
        if not 0 < session_id < 1 << 31:
            return None  # no pid is so large
        async with self._busy:
            found = (await self._waits.activity(session_id)).sessions
        return found[0] if found else None

    async def locks(self) -> BlockingTree:
        async with self._busy:
            activity = await self._waits.activity()
            if not activity.anybody_waits:
                return BlockingTree()
            return await self._waits.tree(activity, await self._link.fetch("contended_locks", "locks"))

    async def transactions(self) -> tuple[OpenTransaction, ...]:
        from console.engine.postgres import transactions

        async with self._busy:
            return await transactions.read(self._link, self._waits)

    async def horizon(self) -> Horizon:
        from console.engine.postgres import horizon

        async with self._busy:
            return await horizon.read(self._link, self._waits)

    async def deadlocks(self) -> DeadlockHistory:
        async with self._busy:
            return await self._deadlocks.read()

    async def slots(self) -> tuple[Slot, ...]:
        from console.engine.postgres import slots

        async with self._busy:
            return await slots.read(self._link, self._waits)

    async def binary_logs(self) -> BinaryLogs:
        raise UsageError("PostgreSQL has no binary log; nothing was executed", "its WAL is kept by slots")

    async def setting(
        self, name: str, *, role: str = "", database: str = "", table: tuple[str, str] | None = None
    ) -> Setting | None:
        from console.engine.postgres import settings, storage

        async with self._busy:
            if table is not None:
                return await storage.read(self._link, name, table)
            return await settings.read(self._link, name, settings.Scope(role, database))

    async def tables(self, wanted: TableQuery) -> Tables:
        async with self._busy:
            return await self._tables.read(wanted)

    async def index_health(self) -> IndexHealth:
        from console.engine.postgres import indexes

        async with self._busy:
            return await indexes.health(self._link, self._waits)

    async def indexes(self, wanted: TableQuery, names: Sequence[tuple[str, str]] = ()) -> tuple[Index, ...]:
        from console.engine.postgres import indexes

        async with self._busy:
            return await indexes.indexes(self._link, self._waits, wanted, names)

    async def index_site(self, schema: str, table: str) -> IndexSite:
        from console.engine.postgres import relations

        async with self._busy:
            return await relations.index_site(self._link, schema, table)

    async def relations(self, schema: str, name: str) -> tuple[Relation, ...]:
        from console.engine.postgres import relations

        async with self._busy:
            return await relations.called(self._link, schema, name)

    async def progress(self) -> ProgressReport:
        async with self._busy:
            return await self._progress.read()

    async def table_locks(self, tables: Sequence[tuple[str, str]]) -> tuple[TableLock, ...]:
        from console.engine.postgres import table_locks

        async with self._busy:
            return await table_locks.read(self._link, self._waits, tables)

    async def pulse(self) -> Pulse:
        from console.engine.postgres import pulse

        async with self._busy:
            return await pulse.read(self._link, self._waits)

    async def cluster(self) -> Cluster | None:
        """A standby takes no writes, and subscriptions are tables' own."""
        return None

    async def numbers(self) -> Outlook:
        from console.engine.postgres import pulse

        async with self._busy:
            return await pulse.numbers(self._link)

    async def load(self) -> Load:
        from console.engine.postgres import load

        async with self._busy:
            return await load.read(self._link, self._waits)

    async def check_site(self, tables: Sequence[tuple[str, str]]) -> CheckSite:
        from console.engine.postgres import checking

        async with self._busy:
            return await checking.check_site(self._link, tables)

    async def measurement(self, schema: str, name: str) -> Measurement:
        from console.engine.postgres import measure

        async with self._busy:
            return await measure.measurement(self._link, schema, name)

    async def measure(self, schema: str, name: str) -> Bloat:
        """Polls go on meanwhile."""

        from console.engine.postgres import measure

        async with self._busy:
            found = await measure.way(self._link, schema, name)
        try:
            return await measure.measure(self._link, found)
        except LockTimeout as error:
            raise measure.held(error, await self.table_locks([found.table])) from None

    async def disk(self, schema: str, name: str) -> Disk:
        from console.engine.postgres import disk

        async with self._busy:
            return await disk.read(self._link, schema, name)

    async def lacking(self, needs: Sequence[Need]) -> tuple[str, ...]:
        from console.engine.postgres import rights

        async with self._busy:
            return await rights.lacking(self._link, needs)

    async def accounts(self) -> Accounts:
        from console.engine.postgres import accounts

        async with self._busy:
            return await accounts.read(self._link)

    async def own_account(self) -> None:
        """Everybody may see who there is."""

    async def verifiers(self) -> tuple[Stored, ...]:
        from console.engine.postgres import accounts

        async with self._busy:
            return await accounts.verifiers(self._link)

    async def showing(self, key: bytes | None, before: Look | None) -> Seen:
        """Polls wait meanwhile: it reads the catalogs of every database."""

        from console.engine.postgres import shown

        async with self._busy:
            return await shown.look(self._link, key, before)

    async def checks(self) -> tuple[Check, ...]:
        from console.engine.postgres.checks import checks

        async with self._busy:
            row = (await self._link.fetch("privileges", "privileges"))[0]
            cost = await self._cost()
        return checks(dict(row), cost)

    async def probe(self, user: str, password: Secret) -> Probe:
        from console.engine.postgres import probe

        return await probe.probe(self.target, user, password)

    # ---- what is in it: each on a connection of its own ---------------------------------------------

    async def databases(self) -> tuple[str, ...]:
        from console.engine.postgres import snapshot

        return await snapshot.read_databases(self.target)

    async def inventory(self, database: str) -> Inventory:
        from console.engine.postgres import snapshot

        return await snapshot.read_inventory(self.target, database)

    async def contents(self, database: str, wanted: Wanted) -> Contents:
        from console.engine.postgres import snapshot

        return await snapshot.read_contents(self.target, database, wanted)

    async def ask(self, database: str, sql: str, *, seconds: float) -> str | None:
        from console.engine.postgres import snapshot

        return await snapshot.ask(self.target, database, sql, seconds=seconds)

    async def select(self, sql: str, args: Sequence[object], *, seconds: float, limit: int) -> Selected:
        from console.engine.postgres import snapshot

        return await snapshot.select(self.target, sql, args, seconds=seconds, limit=limit)

    def snapshot(self, database: str) -> AbstractAsyncContextManager[snapshot.PostgresSnapshot]:
        from console.engine.postgres import snapshot

        return snapshot.hold_snapshot(self.target, database)

    async def _cost(self, rounds: int = 5) -> tuple[float, float]:
        """(ms of one poll beyond the round trip, ms of the round trip): medians of a few."""
        from statistics import median  # slow to import, and only asked for by `doctor`

        polls, trips = [], []
        for _ in range(rounds):
            connection, _ = await self._link.connected()
            start = time.perf_counter()
            await connection.fetchval("select 1")
            middle = time.perf_counter()
            await self._link.fetch("sessions", "sessions", None)
            await self._link.fetch("contended_locks", "locks")
            polls.append(time.perf_counter() - middle)
            trips.append(middle - start)
        trip = median(trips)
        return max(0.0, median(polls) - 2 * trip) * 1000, trip * 1000
