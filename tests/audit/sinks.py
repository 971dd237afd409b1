"""The same ledger on every sink, and the door that an attacker with all rights would use."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import asyncpg
from pymysql.err import MySQLError

from console.audit.definitions import Part
from console.audit.ledger import Ledger, inspect, install, open_ledger
from console.secrets import Secret
from tests.servers.accounts import APP, OPERATOR, PASSWORDS
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer


class Sink:
    """`url` is the address of a login that may write and read; `entry` the name of the table."""

    entry = "entry"
    lowest = -(2**63)  # the smallest id that its table can hold
    forced = ""  # what an insert has to say that brings an id of its own

    def __init__(self, url: str, journal: Path, password: Secret | None = None) -> None:
        self.url = url
        self.journal = journal
        self.password = password

    def open(self, **over: Any) -> AbstractAsyncContextManager[Ledger]:
        journal = over.pop("journal", self.journal)
        url = over.pop("url", self.url)
        return open_ledger(url, journal, password=self.password, **over)

    @property
    def admin(self) -> str:
        """The address of who may do everything."""
        return self.url

    async def parts(self) -> list[Part]:
        """Without the installers of other tests: the owner is a role of the whole server."""
        return [part for part in await inspect(self.admin) if not part.name.startswith("installer_")]

    async def execute(self, *statements: str) -> None:
        """As who may do everything; `{entry}` is the table."""
        raise NotImplementedError

    async def attack(self, *statements: str) -> None:
        """Run SQL with all rights and without the triggers; `{entry}` is the table."""
        raise NotImplementedError

    async def refused(self, statement: str) -> str:
        """What is said to somebody with all rights who leaves the triggers alone."""
        raise NotImplementedError


class SqliteSink(Sink):
    def __init__(self, path: Path, journal: Path) -> None:
        super().__init__(f"sqlite:///{path}", journal)
        self.path = path

    async def execute(self, *statements: str) -> None:
        await asyncio.to_thread(self._execute, *statements)

    def _execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement.format(entry=self.entry))

    async def attack(self, *statements: str) -> None:
        names = ("entry_no_update", "entry_no_delete", "entry_no_replace")
        drops = [f"drop trigger if exists {name}" for name in names]
        await self.execute(*drops, *statements)

    async def refused(self, statement: str) -> str:
        try:
            await self.execute(statement)
        except sqlite3.Error as error:
            return str(error)
        return ""


class PostgresSink(Sink):
    entry = "dbdeck_audit.entry"
    forced = "overriding system value"

    def __init__(self, server: PostgresServer, database: str, journal: Path) -> None:
        at = f":{server.port}/{database}?host={server.host}"
        super().__init__(f"postgresql://{OPERATOR}@{at}", journal, Secret(PASSWORDS[OPERATOR]))
        self.server = server
        self.database = database
        self.at = at

    @property
    def admin(self) -> str:
        return f"postgresql://{self.server.superuser}@{self.at}"

    async def install(self) -> list[str]:
        return await install(self.admin, writers=[OPERATOR, APP], auditors=[OPERATOR])

    async def execute(self, *statements: str) -> None:
        connection = await self.server.connect(database=self.database)
        try:
            for statement in statements:
                await connection.execute(statement.format(entry=self.entry))
        finally:
            await connection.close()

    async def attack(self, *statements: str) -> None:
        await self.execute("alter table {entry} disable trigger user", *statements)

    async def refused(self, statement: str) -> str:
        try:
            await self.execute("set session_replication_role = replica", statement)
        except asyncpg.PostgresError as error:
            return str(error)
        return ""


class MysqlSink(Sink):
    lowest = 0

    def __init__(self, server: MysqlServer, database: str, journal: Path) -> None:
        at = f"127.0.0.1:{server.port}/{database}?tls=verify-full&ca={server.ca_file}"
        super().__init__(f"mysql://{OPERATOR}@{at}", journal, Secret(PASSWORDS[OPERATOR]))
        self.server = server
        self.database = database
        self.at = at

    @property
    def admin(self) -> str:
        return f"mysql://{self.server.superuser}@/{self.database}?socket={self.server.socket}"

    async def install(self) -> list[str]:
        return await install(self.admin, writers=[OPERATOR, f"{APP}@%"], auditors=[OPERATOR])

    async def execute(self, *statements: str) -> None:
        connection = await self.server.connect(database=self.database)
        try:
            async with connection.cursor() as cursor:
                for statement in statements:
                    await cursor.execute(statement.format(entry=self.entry))
        finally:
            await connection.ensure_closed()

    async def attack(self, *statements: str) -> None:
        names = ("entry_no_update", "entry_no_delete")
        drops = [f"drop trigger if exists {name}" for name in names]
        zero = "set sql_mode = concat(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"  # else an id of 0 is a new one
        await self.execute(*drops, zero, *statements)

    async def refused(self, statement: str) -> str:
        try:
            await self.execute(statement)
        except MySQLError as error:
            return str(error)
        return ""
