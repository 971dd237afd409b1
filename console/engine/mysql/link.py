"""The monitor's one connection: opened when first needed, opened again when lost, never shared."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from console.engine.mysql.driver import READ_LIMITS, close, connect
from console.engine.mysql.errors import FAILURES, answered, on_read
from console.engine.mysql.identity import identify
from console.engine.mysql.rows import account_literal
from console.engine.port import CONNECT_SECONDS, READ_SECONDS
from console.engine.queries import query
from console.errors import DbdeckError
from console.model.target import Login, ServerIdentity, Target
from console.wire.mysql import Connection

# For ending on the server what nobody waits for any more; what it misses, the statement limits end.
ENDING_SECONDS = 0.6
_INNODB_CACHE = ("transactions", "row_locks")
INNODB_CACHE_SECONDS = 0.12  # a little more than CACHE_MIN_IDLE_TIME in InnoDB's trx0i_s.cc
_INNODB_READ_AT: dict[str, float] = {}  # by server: several links may read the same one
_RIGHTS = {
    "transactions": "PROCESS ON *.*",
    "row_locks": "PROCESS ON *.*",
    "innodb_status": "PROCESS ON *.*",
    "deadlock_count": "PROCESS ON *.*",
    "undo_tablespaces": "PROCESS ON *.*",
    "xa_prepared": "XA_RECOVER_ADMIN ON *.*",
    "tables": "PROCESS ON *.*",
    "tables_hidden": "PROCESS ON *.*",
    "table_statistics": "SELECT ON mysql.innodb_table_stats",
    "index_sizes": "SELECT ON mysql.innodb_index_stats",
    "foreign_keys": "PROCESS ON *.*",
    "hidden_clusters": "PROCESS ON *.*",
    "data_files": "PROCESS ON *.*",
    "accounts": "SELECT ON mysql.user",
    "verifiers": "SELECT ON mysql.user",
    "account_rights": "SELECT ON mysql.global_grants",
    "account_roles": "SELECT ON mysql.role_edges",
    "account_servers": "SELECT (Server_name, Host, Username, Port) ON mysql.servers",
    "processlist": "PROCESS ON *.*",
    "binary_logs": "REPLICATION CLIENT ON *.*",
}
_RIGHTS_OF_MARIADB = {
    "accounts": "SELECT ON mysql.global_priv",
    "verifiers": "SELECT ON mysql.global_priv",
    "account_roles": "SELECT ON mysql.roles_mapping",
    "account_sources": "SLAVE MONITOR ON *.*",
    "binary_logs": "BINLOG MONITOR ON *.*",
    "pulse_waits": "PROCESS ON *.*",
}


class Link:
    """One read at a time; the caller holds the lock."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lock = asyncio.Lock()
        self._held: tuple[Connection, ServerIdentity] | None = None
        self._ending: set[asyncio.Task[Any]] = set()
        self.heard_at = float("-inf")  # monotonic seconds

    @property
    def answered_by(self) -> ServerIdentity | None:
        return self._held[1] if self._held is not None else None

    async def connected(self) -> tuple[Connection, ServerIdentity]:
        if self._held is None or self._held[0].closed:
            fresh = await connect(self.target, self.target.monitor, limits=READ_LIMITS)
            try:
                self._held = fresh, await identify(fresh, self.target)
            except BaseException:
                fresh.close()
                raise
        return self._held

    async def identity(self) -> ServerIdentity:
        """Asked anew; a connection that does not answer is dropped."""
        connection, _ = await self.connected()
        try:
            return await identify(connection, self.target)
        except BaseException:
            self._drop(connection)
            raise

    async def fetch(self, name: str, what: str, *args: object) -> list[dict[str, Any]]:
        """The rows of one read. Raises an Unreachable error; nothing is tried twice."""
        _, identity = await self.connected()
        try:
            return await self.ask(
                query("mysql", name, identity.flavor, identity.version_num),
                what,
                *args,
                hint=grant(name, identity.user, identity.flavor),
            )
        finally:
            if name in _INNODB_CACHE:
                _INNODB_READ_AT[self.target.address] = time.monotonic()

    async def ask(self, sql: str, what: str, *args: object, hint: str) -> list[dict[str, Any]]:
        """`fetch` for a SELECT whose subject is an identifier; `hint` is the GRANT it needs."""
        connection, identity = await self.connected()
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = (await connection.fetch(sql, args)).dicts()
        except TimeoutError as error:
            self._abandon(connection, identity)
            raise on_read(error, self.target, what) from None
        except FAILURES as error:
            if not answered(error):
                self._drop(connection)
            raise on_read(error, self.target, what, hint) from None
        except asyncio.CancelledError:
            self._abandon(connection, identity)
            raise
        self.heard_at = time.monotonic()
        return found

    async def settled(self) -> None:
        """Wait until InnoDB's tables show news: they show old rows to whoever asks again too soon."""
        await asyncio.sleep(
            _INNODB_READ_AT.get(self.target.address, 0.0) + INNODB_CACHE_SECONDS - time.monotonic()
        )

    async def close(self) -> None:
        """Leave; a server that does not answer does not keep anybody."""
        held, self._held = self._held, None
        goodbye = {asyncio.create_task(close(held[0]))} if held is not None else set()
        if ends := goodbye | self._ending:
            _, late = await asyncio.wait(ends, timeout=ENDING_SECONDS)
            for ending in late:
                ending.cancel()

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._held = None

    def _abandon(self, connection: Connection, identity: ServerIdentity) -> None:
        """The server goes on with a statement whose reader went away: have it ended there."""
        number = connection.thread_id()
        self._drop(connection)
        ending = asyncio.create_task(end_own_statement(self.target, identity, number))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


async def end_own_statement(
    target: Target, seen: ServerIdentity, connection_id: int, login: Login | None = None
) -> bool:
    """End the statement of our own connection; False where nobody could be asked. Never raises.

    The one KILL in this package, and in Python rather than in sql/ because those files only read. It
    ends what `login` (else dbdeck's monitor) runs, which every account may do to itself without a
    privilege; a server that was restarted meanwhile has given the number to somebody else, and is left alone.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            login = login or target.monitor
            connection = await connect(target, login, limits=READ_LIMITS, purpose="cleanup", roaming=True)
            try:
                now = await identify(connection, target)
                if (now.system_id, now.started_at) == (seen.system_id, seen.started_at):
                    await connection.fetch("kill query %s", (connection_id,))
            finally:
                await close(connection)
    except (DbdeckError, *FAILURES):
        return False
    return True


def grant(read: str, account: str, flavor: str = "mysql") -> str:
    """The GRANT that a read lacks."""
    right = _RIGHTS.get(read, "SELECT ON performance_schema.*")
    if flavor == "mariadb":
        right = _RIGHTS_OF_MARIADB.get(read, right)
    return f"GRANT {right} TO {account_literal(account)};"
