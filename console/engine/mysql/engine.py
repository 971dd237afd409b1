"""Reads of a MySQL or MariaDB server. Each is one module, imported when it is
first asked for; this is the port they stand behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from console.engine.mysql.graph import lock_tree
from console.engine.mysql.link import Link
from console.engine.mysql.look import look_at_all
from console.errors import UsageError

if TYPE_CHECKING:
    from console.engine.mysql.followers import Followers
    from console.engine.mysql.progress import ProgressReader
    from console.engine.mysql.purge import Purger
    from console.engine.mysql.snapshot import MysqlSnapshot
    from console.engine.mysql.tables import TableReader
    from console.engine.port import Need, Selected
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


class MysqlEngine:
    """One polling connection of the monitor identity, opened when first needed and again when lost."""

    def __init__(self, target: Target) -> None:
        from console.engine.mysql.deadlocks import Deadlocks

        self.target = target
        self._link = Link(target)
        self._deadlocks = Deadlocks(self._link, target.log)

    @cached_property
    def _purge(self) -> Purger:
        from console.engine.mysql.purge import Purger

        return Purger(self._link)

    @cached_property
    def _tables(self) -> TableReader:
        from console.engine.mysql.tables import TableReader

        return TableReader(self._link, self._purge)

    @cached_property
    def _progress(self) -> ProgressReader:
        from console.engine.mysql.progress import ProgressReader

        return ProgressReader(self._link)

    @cached_property
    def _followers(self) -> Followers | None:
        replicas = tuple(one for one in self.target.replicas if one.engine is self.target.engine)
        if not replicas:
            return None
        from console.engine.mysql.followers import Followers

        return Followers(self.target, replicas)

    async def close(self) -> None:
        await self._deadlocks.close()
        followers = self.__dict__.get("_followers")  # nobody may have asked
        ends = [self._link, followers] if followers is not None else [self._link]
        await asyncio.gather(*(one.close() for one in ends))

    @property
    def answered_by(self) -> ServerIdentity | None:
        return self._link.answered_by

    @property
    def heard_at(self) -> float:
        return self._link.heard_at

    async def identity(self) -> ServerIdentity:
        async with self._link.lock:
            return await self._link.identity()

    async def sessions(self) -> tuple[Session, ...]:
        """Raises PrivilegeMissing rather than leave somebody out."""
        async with self._link.lock:
            return (await look_at_all(self._link)).sessions

    async def session(self, session_id: int) -> Session | None:
        """None when it is gone. Raises PrivilegeMissing where it may only be hidden, or be seen without
        its transaction or program name: it would look idle, or unprotected."""
        async with self._link.lock:
            found = (await look_at_all(self._link, session_id)).sessions
        return found[0] if found else None

    async def locks(self) -> BlockingTree:
        """Raises PrivilegeMissing where sessions are hidden, or nobody can see who waits."""
        async with self._link.lock:
            return await lock_tree(self._link, await look_at_all(self._link))

    async def transactions(self) -> tuple[OpenTransaction, ...]:
        """Raises PrivilegeMissing rather than leave somebody out."""

        from console.engine.mysql.transactions import open_transactions

        async with self._link.lock:
            return await open_transactions(self._link)

    async def horizon(self) -> Horizon:
        """Raises PrivilegeMissing where transactions or InnoDB's report may not be read."""
        async with self._link.lock:
            return await self._purge.horizon()

    async def deadlocks(self) -> DeadlockHistory:
        """What may not be read is a note with the GRANT."""
        async with self._link.lock:
            return await self._deadlocks.look()

    async def slots(self) -> tuple[Slot, ...]:
        """Neither server has replication slots: what a replica still needs, nobody keeps for it."""
        return ()

    async def check_site(self, tables: Sequence[tuple[str, str]]) -> CheckSite:
        del tables
        raise UsageError("CHECK TABLE looks at a table as a whole; nothing was executed")

    async def binary_logs(self) -> BinaryLogs:
        """Raises PrivilegeMissing where files or sessions are hidden."""

        from console.engine.mysql.binary_logs import binary_logs

        async with self._link.lock:
            return await binary_logs(self._link)

    async def setting(
        self, name: str, *, role: str = "", database: str = "", table: tuple[str, str] | None = None
    ) -> Setting | None:
        """Raises UsageError for a role or a database."""

        from console.engine.mysql.settings import setting

        async with self._link.lock:
            return await setting(self._link, name, narrower=bool(role or database or table))

    async def accounts(self) -> Accounts:
        """Raises PrivilegeMissing rather than show no accounts."""

        from console.engine.mysql.accounts import accounts

        async with self._link.lock:
            return await accounts(self._link)

    async def own_account(self) -> Account | None:
        from console.engine.mysql.accounts import own

        async with self._link.lock:
            return await own(self._link)

    async def verifiers(self) -> tuple[Stored, ...]:
        """Raises PrivilegeMissing."""

        from console.engine.mysql.accounts import verifiers

        async with self._link.lock:
            return await verifiers(self._link)

    async def showing(self, key: bytes | None, before: Look | None) -> Seen:
        """Polls wait meanwhile."""

        from console.engine.mysql.shown import look

        async with self._link.lock:
            return await look(self._link, key, before)

    async def checks(self) -> tuple[Check, ...]:
        from console.engine.mysql.checks import findings
        from console.engine.mysql.maintenance_checks import account_finding, maintenance_findings

        async with self._link.lock:
            found = await findings(self._link), await maintenance_findings(self._link)
            return (*found[0], *found[1], await account_finding(self._link))

    async def probe(self, user: str, password: Secret) -> Probe:
        from console.engine.mysql import probe

        return await probe.probe(self.target, user, password)

    async def lacking(self, needs: Sequence[Need]) -> tuple[str, ...]:
        """Nothing where this login may not read what accounts may do."""

        from console.engine.mysql.rights import operator_lacks

        async with self._link.lock:
            return await operator_lacks(self._link, needs)

    async def databases(self) -> tuple[str, ...]:
        from console.engine.mysql.reader import reader

        async with reader(self.target, "") as opened:
            return tuple(str(row["name"]) for row in await opened.fetch("databases"))

    async def inventory(self, database: str) -> Inventory:
        from console.engine.mysql.inventory import inventory
        from console.engine.mysql.reader import reader

        async with reader(self.target, database) as opened:
            return await inventory(opened, database)

    async def contents(self, database: str, wanted: Wanted) -> Contents:
        from console.engine.mysql.contents import contents
        from console.engine.mysql.reader import reader

        async with reader(self.target, database) as opened:
            return await contents(opened, database, wanted)

    async def ask(self, database: str, sql: str, *, seconds: float) -> str | None:
        from console.engine.mysql.contents import ask
        from console.engine.mysql.reader import reader

        async with reader(self.target, database) as opened:
            return await ask(opened, sql, seconds)

    async def select(self, sql: str, args: Sequence[object], *, seconds: float, limit: int) -> Selected:
        from console.engine.mysql.contents import select
        from console.engine.mysql.reader import reader

        async with reader(self.target, self.target.database) as opened:
            return await select(opened, sql, args, seconds, limit)

    def snapshot(self, database: str) -> AbstractAsyncContextManager[MysqlSnapshot]:
        from console.engine.mysql.snapshot import snapshot

        return snapshot(self.target, database)

    async def tables(self, wanted: TableQuery) -> Tables:
        """Raises PrivilegeMissing rather than show no tables where some are hidden."""
        async with self._link.lock:
            return await self._tables.tables(wanted)

    async def index_health(self) -> IndexHealth:
        """Raises PrivilegeMissing rather than find nothing wrong with tables that are hidden."""

        from console.engine.mysql.indexes import index_health

        async with self._link.lock:
            return await index_health(self._link)

    async def indexes(self, wanted: TableQuery, names: Sequence[tuple[str, str]] = ()) -> tuple[Index, ...]:
        """Raises PrivilegeMissing rather than show no tables where some are hidden."""

        from console.engine.mysql.indexes import indexes

        async with self._link.lock:
            tables = None if names else await self._tables.names(wanted)
            return await indexes(self._link, tables, names)

    async def index_site(self, schema: str, table: str) -> IndexSite:
        from console.engine.mysql.relations import index_site

        async with self._link.lock:
            return await index_site(self._link, schema, table)

    async def relations(self, schema: str, name: str) -> tuple[Relation, ...]:
        from console.engine.mysql.relations import called

        async with self._link.lock:
            return await called(self._link, schema, name)

    async def progress(self) -> ProgressReport:
        """Raises PrivilegeMissing rather than leave somebody out."""
        async with self._link.lock:
            return await self._progress.progress()

    async def table_locks(self, tables: Sequence[tuple[str, str]]) -> tuple[TableLock, ...]:
        """Raises PrivilegeMissing where nobody can see who holds metadata locks."""

        from console.engine.mysql.table_locks import table_locks

        async with self._link.lock:
            return await table_locks(self._link, tables)

    async def pulse(self) -> Pulse:
        from console.engine.mysql.pulse import pulse

        async with self._link.lock:
            return await pulse(self._link)

    async def cluster(self) -> Cluster | None:
        from console.engine.mysql.cluster import cluster

        async with self._link.lock:
            return await cluster(self._link)

    async def numbers(self) -> Outlook:
        """Neither server runs out of transaction numbers."""

        from console.model.overview import Outlook

        return Outlook()

    async def load(self) -> Load:
        """Raises PrivilegeMissing where sessions are hidden."""

        from console.engine.mysql.load import load

        return await load(self._link, self._followers)

    async def measurement(self, schema: str, name: str) -> Measurement:
        """Always one with a refusal: see there."""

        from console.engine.mysql.disk import measurement

        return measurement(schema, name)

    async def measure(self, schema: str, name: str) -> Bloat:
        """Raises UsageError: neither server measures what is wasted in a table."""

        from console.engine.mysql.disk import refuse_to_measure

        raise refuse_to_measure(self.target.name, schema, name)

    async def disk(self, schema: str, name: str) -> Disk:
        """Unknown where the server runs on another machine and has no plugin that tells."""

        from console.engine.mysql.disk import disk

        async with self._link.lock:
            return await disk(self._link, schema, name)
