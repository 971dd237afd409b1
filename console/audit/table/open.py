"""Which table an address means; the only place that imports the drivers, and only the one needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.audit.definitions import Part, mended
from console.audit.table.port import Alive, Table
from console.audit.url import FileAddress, ServerAddress
from console.errors import AuditUnavailable
from console.secrets import Secret

if TYPE_CHECKING:
    from console.audit.table.mysql import MysqlTable
    from console.audit.table.postgres import PostgresTable


async def open_table(
    address: FileAddress | ServerAddress,
    password: Secret | None,
    deadline: float,
    *,
    write: bool,
    alive: Alive,
) -> Table:
    """`alive` answers for sinks that have no locks of their own. Raises AuditUnavailable."""
    if isinstance(address, FileAddress):
        from console.audit.table.sqlite import SqliteTable

        file = SqliteTable(address.path, deadline, alive)
        await file.open(write=write)
        return file
    if address.engine == "postgresql":
        from console.audit.table.postgres import PostgresTable

        server: PostgresTable | MysqlTable = PostgresTable(address, password, deadline)
    else:
        from console.audit.table.mysql import MysqlTable

        server = MysqlTable(address, password, deadline)
    try:
        await server.open(write=write)
    except BaseException:
        await server.close()
        raise
    return server


async def inspect_table(
    address: FileAddress | ServerAddress, password: Secret | None, deadline: float
) -> list[Part]:
    """Is it what dbdeck made? Raises AuditUnavailable."""
    if isinstance(address, FileAddress):
        from console.audit.table.inspect_sqlite import inspect_sqlite

        return await asyncio.to_thread(inspect_sqlite, address.path)
    if address.engine == "postgresql":
        from console.audit.table.inspect_postgres import inspect_postgres

        return await inspect_postgres(address, password, deadline)
    from console.audit.table.inspect_mysql import inspect_mysql

    return await inspect_mysql(address, password, deadline)


async def install_table(
    address: FileAddress | ServerAddress,
    password: Secret | None,
    deadline: float,
    writers: Sequence[str],
    auditors: Sequence[str],
    redactors: Sequence[str],
) -> list[str]:
    """What was made, and what was mended. Raises AuditUnavailable."""
    before = await _looked_at(address, password, deadline)
    made = await _install(address, password, deadline, writers, auditors, redactors)
    after = await _looked_at(address, password, deadline)
    return [*made, *mended(before or (), after, made)]


async def _looked_at(
    address: FileAddress | ServerAddress, password: Secret | None, deadline: float
) -> list[Part] | None:
    """None where there is nothing yet, or where it does not let itself be looked at."""
    try:
        return await inspect_table(address, password, deadline)
    except AuditUnavailable:
        return None


async def _install(
    address: FileAddress | ServerAddress,
    password: Secret | None,
    deadline: float,
    writers: Sequence[str],
    auditors: Sequence[str],
    redactors: Sequence[str],
) -> list[str]:
    if isinstance(address, FileAddress):
        from console.audit.table.sqlite import install_sqlite

        return await install_sqlite(address.path, deadline)
    if address.engine == "postgresql":
        from console.audit.table.postgres_install import install_postgres

        return await install_postgres(address, password, deadline, writers, auditors, redactors)
    from console.audit.table.mysql_install import install_mysql

    return await install_mysql(address, password, deadline, writers, auditors, redactors)
