"""The operator's connection to PostgreSQL: it runs what an Operator hands it and holds no SQL of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from console.engine.port import READ_SECONDS, Need, Row, Statement
from console.engine.postgres import rights
from console.engine.postgres.driver import OPERATOR_LIMITS, Connection, close, connect
from console.engine.postgres.errors import FAILURES, lost, on_read
from console.engine.postgres.link import identify
from console.engine.queries import query
from console.errors import (
    ActionFailed,
    Cancelled,
    DbdeckError,
    LockTimeout,
    OutcomeUnknown,
    PasswordRefused,
)
from console.model.target import ServerIdentity, Target


class _Right(NamedTuple):
    pattern: str
    hint: str


# What a statement needs, by how it begins or whom it calls; the first that fits. PostgreSQL manual, the
# pages of these commands, and "Predefined Roles".
_RIGHTS = (
    _Right(r"pg_drop_replication_slot", hint="ALTER ROLE {user} REPLICATION;"),
    _Right(
        r"pg_(terminate|cancel)_backend",
        hint="GRANT pg_signal_backend TO {user}; (a superuser's session needs a superuser)",
    ),
    _Right(
        r"verify_heapam|bt_index_check",
        hint="GRANT EXECUTE on amcheck's functions TO {user}; docs/privileges.md has them",
    ),
    _Right(r"pg_reload_conf", hint="GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {user};"),
    _Right(
        r"^\s*rollback\s+prepared",
        hint="only the role that prepared it or a superuser may finish it: let the target's operator log in "
        "as one of them for this",
    ),
    _Right(
        r"^\s*alter\s+system",
        hint="GRANT ALTER SYSTEM ON PARAMETER {parameter} TO {user}; (15+; a superuser before)",
    ),
    _Right(
        r"^\s*alter\s+role",
        hint="the operator needs CREATEROLE and (16+) ADMIN OPTION on that role, or to be it; for a "
        "superuser's setting also: GRANT SET ON PARAMETER {parameter} TO {user}; (15+)",
    ),
    _Right(
        r"^\s*alter\s+(table|materialized)",
        hint="only its owner may: GRANT the owner's role TO {user}; (it also needs USAGE on the schema)",
    ),
    _Right(
        r"^\s*alter\s+database",
        hint="the operator needs to own that database; for a superuser's setting also: "
        "GRANT SET ON PARAMETER {parameter} TO {user}; (15+)",
    ),
)
_PARAMETER = re.compile(r"\b(?:set|reset)\s+((?:\"[^\"]+\"|[\w.])+)", re.IGNORECASE)


class PostgresOperator:
    def __init__(self, target: Target, connection: Connection, identity: ServerIdentity) -> None:
        self._target = target
        self._connection = connection
        self._version = identity.version_num
        self._database = identity.database
        self._limits: dict[str, str] = {}
        self.user = identity.user

    async def warm(self) -> None:
        """Look at every role once. A server that refuses gives a cold connection, which works as well."""
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(READ_SECONDS):
                await self._connection.fetch(query("postgres", "warm", "postgresql", self._version))

    async def identity(self) -> ServerIdentity:
        return await identify(self._connection, self._target)

    @property
    def session_id(self) -> int:
        return int(self._connection.get_server_pid())

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:
        """The rows of one statement, on a connection of its own where it belongs to another database.

        Raises ActionFailed when the server refused it or was never asked (LockTimeout, Cancelled where
        that is why), OutcomeUnknown when its answer did not come.
        """
        if statement.database in ("", self._database):
            return await self._send(self._connection, statement, timeout)
        async with self._connected_to(statement.database) as connection:
            return await self._send(connection, statement, timeout)

    @asynccontextmanager
    async def _connected_to(self, database: str) -> AsyncIterator[Connection]:
        login = self._target.operator
        if login is None:
            raise ActionFailed(f"{self._target.name} has no operator login; nothing was sent")
        try:
            connection = await connect(
                self._target, login, limits=OPERATOR_LIMITS, purpose="operator", database=database
            )
        except DbdeckError as error:
            raise ActionFailed(
                f"{self._target.name}: database {database} not reached, nothing was sent: {error.message}",
                error.hint,
            ) from None
        try:
            yield connection
        finally:
            await close(connection)

    async def _send(self, connection: Connection, statement: Statement, timeout: float | None) -> list[Row]:
        if connection.is_closed():
            raise ActionFailed(
                f"{self._target.name}: the operator's connection was lost; nothing was sent",
                "look again, then repeat the action",
            )
        try:
            async with asyncio.timeout(timeout):
                await self._limit(connection, statement)
                if statement.command:
                    # The simple protocol, one statement: no transaction block around it, nothing prepared.
                    await connection.execute(statement.sql)
                    return []
                rows = await connection.fetch(statement.sql, *statement.args)
        except FAILURES as error:
            if isinstance(error, asyncpg.PostgresError) and not lost(error):
                raise _refused(error, self._target, self.user, statement.sql) from None
            connection.terminate()
            raise OutcomeUnknown(
                f"{self._target.name}: the statement was sent and its answer was lost "
                f"({' '.join(str(error).split()) or type(error).__name__})",
                "look at the server before anything else; `dbdeck audit reconcile` settles the record",
            ) from None
        return [tuple(row) for row in rows]

    async def _limit(self, connection: Connection, statement: Statement) -> None:
        """The statement's limits become the session's until another statement wants others."""
        wanted = dict(statement.limits)
        if statement.lock_seconds is not None:
            wanted["lock_timeout"] = f"{max(1, round(statement.lock_seconds * 1000))}ms"
        before = self._limits if connection is self._connection else {}
        if wanted == before:
            return
        wanted = {name: OPERATOR_LIMITS.get(name, "") for name in before} | wanted
        changed = {name: value for name, value in wanted.items() if before.get(name) != value}
        if changed:
            sql = query("postgres", "limits", "postgresql", self._version)
            names = list(changed)
            await connection.fetch(sql, names, [changed[name] for name in names])
        if connection is self._connection:
            self._limits = wanted

    async def cancel(self) -> bool:
        """By the cancel request of the protocol's manual (53.2.8) in SQL: our own role may cancel itself."""
        login = self._target.operator
        if login is None or self._connection.is_closed():
            return False
        try:
            other = await connect(self._target, login, limits=OPERATOR_LIMITS, purpose="operator cancel")
            try:
                await other.fetch("select pg_cancel_backend($1)", self._connection.get_server_pid())
            finally:
                await close(other)
        except (DbdeckError, *FAILURES):
            return False
        return True

    def abandon(self) -> None:
        self._connection.terminate()

    async def missing(self, needs: Sequence[Need]) -> tuple[str, ...]:
        """By has_table_privilege and pg_has_role of this session itself, which lock no table."""
        return await rights.told(self._fetch, needs, rights.Who("", self.user, self._version))

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


def _refused(error: asyncpg.PostgresError, target: Target, user: str, sql: str) -> ActionFailed:
    text = " ".join(str(error).split())
    if error.sqlstate == "42501":
        return ActionFailed(f"{target.name}: {user} may not do this: {text}", right(sql, user))
    kind = _KINDS.get(error.sqlstate or "", ActionFailed)
    if error.sqlstate == "22023" and _PASSWORD.match(sql):
        kind = PasswordRefused
    return kind(f"{target.name}: {_WORDS[kind]}: {text} ({error.sqlstate})")


_PASSWORD = re.compile(r"\s*alter\s+role\b.*\bpassword\b", re.IGNORECASE | re.DOTALL)
_KINDS: dict[str, type[ActionFailed]] = {"55P03": LockTimeout, "57014": Cancelled}
_WORDS: dict[type[ActionFailed], str] = {
    LockTimeout: "the lock was not to be had in time",
    Cancelled: "the statement was cancelled",
    PasswordRefused: "the server does not take this password",
    ActionFailed: "the server refused the statement",
}


def right(sql: str, user: str) -> str:
    """The GRANT, or whatever else, that the statement lacked; empty where that is not known."""
    hint = next((one.hint for one in _RIGHTS if re.search(one.pattern, sql, re.IGNORECASE)), "")
    named = _PARAMETER.search(sql)
    return hint.format(user=user, parameter=named[1].strip('"') if named else "the setting")
