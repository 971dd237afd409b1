"""Names of databases, roles and relations, kept by the client so that polls touch no catalog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import asyncpg

from console.engine.postgres.driver import READ_LIMITS, Connection, close, connect
from console.engine.postgres.errors import FAILURES
from console.engine.queries import query
from console.errors import DbdeckError
from console.model.target import ServerIdentity, Target

RETRY_SECONDS = 60.0
NAME_SECONDS = 2.0


class Names:
    """A cache over one server. What cannot be resolved stays unresolved: a wrong name is never shown.

    Relation oids mean something in their own database only (databases made from one template share
    them), so a name of another database is asked for there, on a short connection of its own.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.shared: dict[tuple[str, int], str] = {}
        self.relations: dict[tuple[int, int], str] = {}
        self.indexes: set[tuple[int, int]] = set()
        self._failed: dict[object, float] = {}

    def clear(self) -> None:
        """Oids may mean something else after a reconnect (restore, fail-over)."""
        self.shared.clear()
        self.relations.clear()
        self.indexes.clear()
        self._failed.clear()

    def tables(self, wanted: Iterable[tuple[int, int]]) -> tuple[str, ...]:
        """The known names of those that are not indexes."""
        return tuple(
            self.relations[pair] for pair in wanted if pair in self.relations and pair not in self.indexes
        )

    async def learn_shared(
        self, connection: Connection, version: int, seen: Iterable[tuple[str, int | None]]
    ) -> None:
        """Read the names of databases and roles again when an unknown oid turned up."""
        unknown = {pair for pair in seen if pair[1] and pair not in self.shared}
        if not unknown or not self._may_try("shared"):
            return
        try:
            rows = await connection.fetch(
                query("postgres", "names", "postgresql", version), timeout=NAME_SECONDS
            )
        except FAILURES:
            self._failed["shared"] = time.monotonic()
            return
        self.shared = {(row["kind"], row["oid"]): row["name"] for row in rows}

    async def learn_relations(
        self, connection: Connection, identity: ServerIdentity, wanted: Iterable[tuple[int, int]]
    ) -> None:
        """Resolve (database, relation) pairs, each in its own database; 0 is the shared catalogs."""
        here, version = identity.database, identity.version_num
        missing: dict[int, list[int]] = {}
        for database, relation in wanted:
            if (database, relation) not in self.relations:
                missing.setdefault(database, []).append(relation)
        for database, oids in missing.items():
            if not self._may_try(("relations", database)):
                continue
            name = self.shared.get(("database", database), "") if database else here
            try:
                async with asyncio.timeout(NAME_SECONDS):
                    rows = await self._ask(connection if name == here else None, version, name, oids)
            except (*FAILURES, DbdeckError):
                self._failed["relations", database] = time.monotonic()
                continue
            for row in rows:
                self.relations[database, row["oid"]] = f"{row['schema']}.{row['name']}"
                if row["index"]:
                    self.indexes.add((database, row["oid"]))

    async def _ask(
        self, connection: Connection | None, version: int, database: str, oids: list[int]
    ) -> list[asyncpg.Record]:
        sql = query("postgres", "relations", "postgresql", version)
        if connection is not None:
            return await connection.fetch(sql, oids)
        if not database:
            return []
        other = await connect(
            self._target, self._target.monitor, limits=READ_LIMITS, purpose="names", database=database
        )
        try:
            return await other.fetch(sql, oids)
        finally:
            await close(other)

    def _may_try(self, what: object) -> bool:
        failed = self._failed.get(what)
        return failed is None or time.monotonic() - failed > RETRY_SECONDS
