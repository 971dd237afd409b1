"""`audit init` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from console.audit.table.port import NEW_ID, NotTaken, hint_of, sql
from console.audit.table.postgres import LOST, Connection, PostgresChannel
from console.audit.url import ServerAddress
from console.errors import AuditUnavailable
from console.secrets import Secret

_TABLES: Final = ("dbdeck_audit.ledger", "dbdeck_audit.entry")
_IS_THERE: Final = "select to_regclass($1) is not null"


async def install_postgres(
    address: ServerAddress,
    password: Secret | None,
    deadline: float,
    writers: Sequence[str],
    auditors: Sequence[str],
    redactors: Sequence[str],
) -> list[str]:
    """Make or repair the ledger in one transaction. Raises AuditUnavailable."""
    channel = PostgresChannel(address, password, deadline)
    connection: Connection | None = None
    try:
        connection = await channel.dial()
        async with connection.transaction():
            return await _install(connection, writers, auditors, redactors)
    except (NotTaken, asyncpg.PostgresError, *LOST) as error:
        # Where a part cannot be replaced as it is, the server says by which statement it can.
        hint = hint_of(error) or getattr(error, "hint", None) or ""
        raise AuditUnavailable(
            f"nothing was made or mended at {address.sink}: {error}", hint.replace(" first.", "; then again")
        ) from None
    finally:
        if connection is not None:
            await channel.hang_up(connection)


async def _install(
    connection: Connection, writers: Sequence[str], auditors: Sequence[str], redactors: Sequence[str]
) -> list[str]:
    await connection.execute("set local search_path = pg_catalog, pg_temp")
    await connection.execute("select pg_advisory_xact_lock(hashtext('dbdeck audit init'))")
    encoding = await connection.fetchval("show server_encoding")
    if encoding != "UTF8":
        raise NotTaken(f"its encoding is {encoding}, and records are UTF-8")
    await _as_may(connection, "postgres_join.sql")
    there = [one for one in _TABLES if await connection.fetchval(_IS_THERE, one)]
    if there:
        # The strongest lock first: with a weaker one, a writer amid its row and this wait for each other.
        await connection.execute(f"lock table {', '.join(there)} in access exclusive mode")
    await connection.execute(sql("postgres.sql"))
    owner = await _give_away(connection)
    for role in {*writers, *auditors, *redactors}:
        await _grant(connection, "postgres_reader.sql", role)
    for role in writers:
        await _grant(connection, "postgres_writer.sql", role)
    for role in auditors:
        await _grant(connection, "postgres_auditor.sql", role)
    for role in redactors:
        await _grant(connection, "postgres_redactor.sql", role)
    await _as_may(connection, "postgres_leave.sql")
    return [
        *([] if "dbdeck_audit.entry" in there else [f"schema dbdeck_audit, owned by {owner}"]),
        *([NEW_ID] if there == ["dbdeck_audit.entry"] else []),
        *(f"{role} may append" for role in writers),
        *(f"{role} may read" for role in auditors),
        *(f"{role} may redact" for role in redactors),
        *await _still_a_member(connection),
    ]


async def _give_away(connection: Connection) -> str:
    """The new owner: nobody's login, or the installer where it may not make roles."""
    if await _as_may(connection, "postgres_owner.sql"):
        return "dbdeck_audit_owner"
    return str(await connection.fetchval("select current_user"))


async def _as_may(connection: Connection, name: str) -> bool:
    """Whether this login had the right to; without, nothing of it was done."""
    try:
        async with connection.transaction():
            await connection.execute(sql(name))
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _still_a_member(connection: Connection) -> list[str]:
    """What of the installer's own is left that it may not take from itself, with what does."""
    me = str(await connection.fetchval("select current_user"))
    found = await connection.fetch(sql("postgres_members.sql"))
    return [f"{me} {row['text']}; as a superuser: {row['wrong']}" for row in found if row["name"] == me]


async def _grant(connection: Connection, name: str, role: str) -> None:
    await connection.execute(sql(name).format(role='"' + role.replace('"', '""') + '"'))
