"""The operator's connection to MySQL or MariaDB: it runs what it is given and adds no effect."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from pymysql.err import OperationalError

from console.engine.mysql.driver import OPERATOR_LIMITS, close, connect
from console.engine.mysql.errors import (
    DENIED,
    FAILURES,
    INTERRUPTED,
    LOCK_WAIT,
    PASSWORD_REFUSED,
    answered,
    code_of,
    on_effect,
    on_read,
    text_of,
)
from console.engine.mysql.grants import lacking
from console.engine.mysql.identity import identify
from console.engine.mysql.link import end_own_statement
from console.engine.mysql.rows import account_literal
from console.engine.port import READ_SECONDS, Need, Row, Statement
from console.engine.queries import query
from console.errors import ActionFailed, DbdeckError, PasswordRefused
from console.model.target import Login, ServerIdentity, Target
from console.wire.mysql import Connection

LOCK_SECONDS = 2  # what OPERATOR_LIMITS say


class MysqlOperator:
    def __init__(self, target: Target, connection: Connection, identity: ServerIdentity) -> None:
        self._target = target
        self._connection = connection
        self._server = identity
        self._busy = asyncio.Lock()
        self._lock_seconds = LOCK_SECONDS
        self.user = identity.user

    @classmethod
    async def connect(cls, target: Target, login: Login, *, purpose: str) -> MysqlOperator:
        """Raises Unreachable or one of its kinds, or ConfigError for a bad reference.

        Actions name in full what they mean, and who only ends sessions has no right on any database.
        """
        connection = await connect(
            target, login, limits=OPERATOR_LIMITS, purpose=purpose, several=True, roaming=True
        )
        connection.keep_alive()
        try:
            return cls(target, connection, await identify(connection, target))
        except BaseException:
            connection.close()
            raise

    async def close(self) -> None:
        await close(self._connection)

    @property
    def session_id(self) -> int:
        return int(self._connection.thread_id())

    async def cancel(self) -> bool:
        login = self._target.operator
        if login is None or self._connection.closed:
            return False
        return await end_own_statement(self._target, self._server, self.session_id, login)

    async def identity(self) -> ServerIdentity:
        async with self._busy:
            return await identify(self._connection, self._target)

    async def run(self, statement: Statement, *, timeout: float | None) -> list[Row]:
        """The rows of the first result that has any; `statement` may be several in one packet.

        Raises ActionFailed when the server refused it or it was never sent (LockTimeout, Cancelled where
        that is why), OutcomeUnknown when its answer did not come: the connection is closed then, and
        the statement goes on.
        """
        async with self._busy:
            if self._connection.closed:
                raise ActionFailed(
                    f"{self._target.name}: the operator's connection was lost; nothing was sent",
                    "look again, then repeat the action",
                )
            try:
                async with asyncio.timeout(timeout):
                    await self._limit(statement.lock_seconds)
                    rows = await _run(self._connection, statement)
                    await self._told(rows)
                    return rows
            except FAILURES as error:
                if not answered(error) or isinstance(error, TimeoutError):
                    self._connection.close()
                raise self._refused(error, statement.sql) from None
            except asyncio.CancelledError:
                self._connection.close()
                raise

    async def _told(self, rows: list[Row]) -> None:
        """ANALYZE, OPTIMIZE and their like answer with a row (table, operation, kind, text) where they
        failed. MariaDB keeps the number of the error among the warnings; MySQL clears it
        (mysql_admin_table in sql_admin.cc), so that only its text is left, in the language that
        OPERATOR_LIMITS ask for. Raises LockTimeout and Cancelled.
        """
        text = "; ".join(str(row[3]) for row in rows if len(row) == 4 and str(row[2]).lower() == "error")
        if not text:
            return
        found = (await self._connection.fetch("show warnings", ())).dicts()
        codes = {int(row["Code"]) for row in found}
        codes |= {code for code, words in _TEXTS.items() if words in text}
        for code in (LOCK_WAIT, *INTERRUPTED):
            if code in codes:
                raise on_effect(OperationalError(code, text), self._target, self.user)

    async def _limit(self, seconds: float | None) -> None:
        """Whole seconds, one at least: lock_wait_timeout counts no fractions (MySQL manual 7.1.8)."""
        wanted = max(1, round(seconds)) if seconds is not None else LOCK_SECONDS
        if wanted != self._lock_seconds:
            await self._connection.fetch("set session lock_wait_timeout = %s", (wanted,))
            self._lock_seconds = wanted

    def _refused(self, error: BaseException, sql: str) -> DbdeckError:
        """Why the statement brought nothing, with the right that it lacked."""
        found = on_effect(error, self._target, self.user)
        if code_of(error) in PASSWORD_REFUSED and _PASSWORD.match(sql):
            return PasswordRefused(
                f"{self._target.name}: the server does not take this password: {text_of(error)}"
            )
        if code_of(error) not in DENIED:
            return found
        hint = right(sql, self.user, self._server.flavor)
        return ActionFailed(found.message, hint or (found.hint if _KILL.match(sql) else ""))

    def abandon(self) -> None:
        self._connection.close()

    async def missing(self, needs: Sequence[Need]) -> tuple[str, ...]:
        """By SHOW GRANTS. A login with roles may have what is not told there: of those nothing is said."""
        if not needs:
            return ()
        grants = [str(next(iter(row.values()))) for row in await self._fetch("grants")]
        return lacking(grants, needs, account_literal(self.user))

    async def hold(self, name: str) -> str | None:
        """Take the lock `name` on this connection; None when held now, else its holder in words."""
        key = lock_name(name)
        if (await self._fetch("hold", key))[0]["held"] == 1:
            return None
        holder = (await self._fetch("holder", key))[0]["id"]
        return "another run, which just let go" if holder is None else await self._describe(int(holder))

    async def let_go(self, name: str) -> None:
        await self._fetch("let_go", lock_name(name))

    async def _describe(self, connection_id: int) -> str:
        """The account and program name of a connection, as far as the operator may see them."""
        read = "sessions" if self._server.flavor == "mysql" else "processlist"
        try:
            rows = await self._fetch(read, connection_id, connection_id)
            names = {row["id"]: row["application"] for row in rows}
            if self._server.flavor == "mariadb":
                names |= {row["id"]: row["application"] for row in await self._fetch("applications")}
        except DbdeckError:
            return f"connection {connection_id}"
        if not rows:
            return f"connection {connection_id}"
        who = names.get(connection_id) or rows[0]["user"]
        return f"{who} (connection {connection_id}, {rows[0]['user']}@{rows[0]['host'].partition(':')[0]})"

    async def _fetch(self, name: str, *args: object) -> list[dict[str, Any]]:
        sql = query("mysql", name, self._server.flavor, self._server.version_num)
        async with self._busy:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    return (await self._connection.fetch(sql, args)).dicts()
            except FAILURES as error:
                raise on_read(error, self._target, "the run lock") from None


_TEXTS = {1205: "Lock wait timeout exceeded", 1317: "Query execution was interrupted"}
_PASSWORD = re.compile(r"\s*(?:alter\s+user\b.*\bidentified|set\s+password)\b", re.IGNORECASE | re.DOTALL)
_KILL = re.compile(r"\s*(?:kill\b|call\s+mysql\.rds_kill)", re.IGNORECASE)
_TABLES = (
    (re.compile(r"\s*(?:analyze|optimize)\b", re.IGNORECASE), "SELECT, INSERT"),
    (re.compile(r"\s*check\s+table\b", re.IGNORECASE), "SELECT"),
    (re.compile(r"\s*create\s+(?:unique\s+)?index\b", re.IGNORECASE), "INDEX"),
)
_GLOBAL = re.compile(r"\s*(?:set|reset)\s+(?:global|persist(?P<start>_only)?)\b", re.IGNORECASE)
_PURGE = re.compile(r"\s*purge\s+binary\b", re.IGNORECASE)
_RESET = re.compile(r"\s*reset\s+persist\b", re.IGNORECASE)


def right(sql: str, user: str, flavor: str) -> str:
    """The GRANT that a statement about variables or tables lacked; empty for what ends sessions.

    MySQL manual 7.1.9.1 "System Variable Privileges". MariaDB has rights for some variables only (BINLOG
    ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN), and its message names them.
    """
    for pattern, rights in _TABLES:
        if pattern.match(sql):
            return f"GRANT {rights} ON the table TO {account_literal(user)};"
    if _PURGE.match(sql):
        wanted = "BINLOG_ADMIN" if flavor == "mysql" else "BINLOG ADMIN"
        return f"GRANT {wanted} ON *.* TO {account_literal(user)};"
    found = _GLOBAL.match(sql)
    if found is None:
        return ""
    wanted = "SYSTEM_VARIABLES_ADMIN" if flavor == "mysql" else "SUPER"
    if found["start"]:
        wanted = f"{wanted}, PERSIST_RO_VARIABLES_ADMIN"
    also = " (and PERSIST_RO_VARIABLES_ADMIN for one read at the start)" if _RESET.match(sql) else ""
    return f"GRANT {wanted} ON *.* TO {account_literal(user)};{also}"


def lock_name(name: str) -> str:
    """GET_LOCK takes 64 characters: a hash of the name, told apart from other programs' locks."""
    return f"dbdeck {hashlib.blake2b(name.encode(), digest_size=20).hexdigest()}"


async def _run(connection: Connection, statement: Statement) -> list[Row]:
    """All results are read: a refusal of the second statement in a packet is only seen there."""
    cursor = await connection.cursor()
    await cursor.execute(statement.sql, statement.args or None)
    found: list[Row] | None = None
    more = True
    while more:
        if found is None and cursor.description:
            found = [tuple(row) for row in await cursor.fetchall()]
        more = await cursor.nextset()
    await cursor.close()
    return found or []
