"""The operator's connection to MySQL or MariaDB: it runs what it is given and adds no effect."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any

from console.engine.mysql.driver import OPERATOR_LIMITS, close, connect
from console.engine.mysql.errors import DENIED, FAILURES, answered, code_of, on_effect, on_read
from console.engine.mysql.identity import identify
from console.engine.mysql.rows import account_literal
from console.engine.port import READ_SECONDS, Row, Statement
from console.engine.queries import query
from console.errors import ActionFailed, DbdeckError
from console.model.target import Login, ServerIdentity, Target
from console.wire.mysql import Connection


class MysqlOperator:
    def __init__(self, target: Target, connection: Connection, identity: ServerIdentity) -> None:
        self._target = target
        self._connection = connection
        self._server = identity
        self._busy = asyncio.Lock()
        self.user = identity.user

    @classmethod
    async def connect(cls, target: Target, login: Login, *, purpose: str) -> MysqlOperator:
        """Raises Unreachable or one of its kinds, or ConfigError for a bad reference."""
        connection = await connect(target, login, limits=OPERATOR_LIMITS, purpose=purpose)
        try:
            return cls(target, connection, await identify(connection, target))
        except BaseException:
            connection.close()
            raise

    async def close(self) -> None:
        await close(self._connection)

    async def identity(self) -> ServerIdentity:
        async with self._busy:
            return await identify(self._connection, self._target)

    async def run(self, statement: Statement, *, timeout: float) -> list[Row]:
        """The rows of the first result that has any; `statement` may be several in one packet.

        Raises ActionFailed when the server refused it or it was never sent, OutcomeUnknown when its
        answer did not come. After the latter the connection is closed and the statement goes on.
        """
        async with self._busy:
            if self._connection.closed:
                raise ActionFailed(
                    f"{self._target.name}: the operator's connection was lost; nothing was sent",
                    "look again, then repeat the action",
                )
            try:
                async with asyncio.timeout(timeout):
                    return await _run(self._connection, statement)
            except FAILURES as error:
                if not answered(error) or isinstance(error, TimeoutError):
                    self._connection.close()
                raise self._refused(error, statement.sql) from None
            except asyncio.CancelledError:
                self._connection.close()
                raise

    def _refused(self, error: BaseException, sql: str) -> DbdeckError:
        """Why the statement brought nothing, with the right that it lacked."""
        found = on_effect(error, self._target, self.user)
        if code_of(error) not in DENIED:
            return found
        return ActionFailed(found.message, right(sql, self.user, self._server.flavor) or found.hint)

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


_GLOBAL = re.compile(r"\s*(?:set|reset)\s+(?:global|persist)\b", re.IGNORECASE)


def right(sql: str, user: str, flavor: str) -> str:
    """The GRANT that a statement about variables lacked; empty for what ends sessions.

    MySQL manual 7.1.9.1 "System Variable Privileges". MariaDB has rights for some variables only (BINLOG
    ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN), and its message names them.
    """
    if not _GLOBAL.match(sql):
        return ""
    wanted = "SYSTEM_VARIABLES_ADMIN" if flavor == "mysql" else "SUPER"
    return f"GRANT {wanted} ON *.* TO {account_literal(user)};"


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
