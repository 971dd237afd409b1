"""The operator's connection to PostgreSQL: it runs what an Operator hands it and holds no SQL of its own."""

from __future__ import annotations

import asyncio
import hashlib

import asyncpg

from console.engine.port import READ_SECONDS, Row, Statement
from console.engine.postgres.driver import Connection
from console.engine.postgres.engine import identify
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.queries import query
from console.errors import ActionFailed, OutcomeUnknown
from console.model.target import ServerIdentity, Target


class PostgresOperator:
    def __init__(self, target: Target, connection: Connection, identity: ServerIdentity) -> None:
        self._target = target
        self._connection = connection
        self._version = identity.version_num
        self.user = identity.user

    async def identity(self) -> ServerIdentity:
        return await identify(self._connection, self._target)

    async def run(self, statement: Statement, *, timeout: float) -> list[Row]:
        """The rows of one statement.

        Raises ActionFailed when the server refused it, OutcomeUnknown when its answer did not come.
        """
        try:
            async with asyncio.timeout(timeout):
                rows = await self._connection.fetch(statement.sql, *statement.args)
        except asyncpg.PostgresError as error:
            raise _refused(error, self._target, self.user) from None
        except FAILURES as error:
            self._connection.terminate()
            raise OutcomeUnknown(
                f"{self._target.name}: the statement was sent and its answer was lost "
                f"({' '.join(str(error).split()) or type(error).__name__})",
                "look at the server before anything else; `dbdeck audit reconcile` settles the record",
            ) from None
        return [tuple(row) for row in rows]

    async def hold(self, name: str) -> str | None:
        """Take the lock `name` on this session; None when held now, else its holder in words."""
        key = _key(name)
        if (await self._fetch("hold", key))[0]["held"]:
            return None
        holders = await self._fetch("holder", key)
        if not holders:
            return "another run, which just let go"
        holder = holders[0]
        return f"{holder['application_name']} (pid {holder['pid']}, from {holder['client'] or 'local'})"

    async def let_go(self, name: str) -> None:
        await self._fetch("let_go", _key(name))

    async def _fetch(self, name: str, *args: object) -> list[asyncpg.Record]:
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._connection.fetch(
                    query("postgres", name, "postgresql", self._version), *args
                )
        except FAILURES as error:
            raise on_read(error, self._target, "the run lock") from None


def _key(name: str) -> int:
    """Advisory locks are numbers: 64 bits of a hash, signed."""
    return int.from_bytes(
        hashlib.blake2b(f"dbdeck:{name}".encode(), digest_size=8).digest(), "big", signed=True
    )


def _refused(error: asyncpg.PostgresError, target: Target, user: str) -> ActionFailed:
    text = " ".join(str(error).split())
    if error.sqlstate == "42501":
        return ActionFailed(
            f"{target.name}: {user} may not do this: {text}",
            f"GRANT pg_signal_backend TO {user}; (a superuser's session needs a superuser)",
        )
    return ActionFailed(f"{target.name}: the server refused the statement: {text} ({error.sqlstate})")
