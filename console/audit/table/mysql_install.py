"""`audit init` on MySQL and MariaDB."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from pymysql.err import MySQLError

from console.audit.definitions import digest, mysql_objects
from console.audit.table.mysql import MysqlChannel, words
from console.audit.table.port import NEW_ID, NotTaken, hint_of, sql, statements
from console.audit.url import ServerAddress
from console.errors import AuditUnavailable
from console.secrets import Secret
from console.wire.mysql import Connection

_OWNER: Final = "dbdeck_audit_owner@localhost"
_OBJECT: Final = re.compile(r"^create (?:definer = \S+ )?(procedure|trigger) (\w+)", re.MULTILINE)
# A routine keeps the sql_mode it was made under: strict, so that nothing is ever cut to fit.
_HAS_LEDGER: Final = (
    "select count(*) from information_schema.tables where table_schema = database() and table_name = 'ledger'"
)
_STRICT: Final = "set sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"


class _Object(NamedTuple):
    """`digest` is that of its text, None where it may not be read. `wrong`: its rights or its table were
    changed, which the text does not tell.
    """

    digest: str | None
    wrong: bool

    def is_made_of(self, made: str) -> bool:
        return self.digest in (None, made) and not self.wrong


async def install_mysql(
    address: ServerAddress,
    password: Secret | None,
    deadline: float,
    writers: Sequence[str],
    auditors: Sequence[str],
    redactors: Sequence[str],
) -> list[str]:
    """Make what is missing; MySQL cannot do it in one transaction. Raises AuditUnavailable."""
    channel = MysqlChannel(msgspec.structs.replace(address, database=""), password, deadline)
    connection: Connection | None = None
    try:
        connection = await channel.dial()
        return await _install(connection, address.database, writers, auditors, redactors)
    except (NotTaken, MySQLError) as error:
        raise AuditUnavailable(
            f"no ledger was made at {address.sink}: {words(error)}",
            hint_of(error)
            or "audit init needs the rights to make databases, accounts, routines and triggers",
        ) from None
    finally:
        if connection is not None:
            await connection.aclose()


async def _install(
    connection: Connection,
    database: str,
    writers: Sequence[str],
    auditors: Sequence[str],
    redactors: Sequence[str],
) -> list[str]:
    name = "`" + database.replace("`", "``") + "`"
    await connection.fetch(_STRICT)
    await connection.fetch(f"create database if not exists {name} character set utf8mb4")
    await connection.fetch(f"use {name}")
    # Locked, so that nobody needs to know this password either.
    await connection.fetch(
        f"create user if not exists {_OWNER} identified by %s account lock",
        (f"{secrets.token_urlsafe(32)}-aA1",),
    )
    await connection.fetch(f"alter user {_OWNER} account lock")  # of one that was there
    existed, made = await _make(connection)
    for account in dict.fromkeys((*writers, *auditors, *redactors)):
        await _grant(connection, "mysql_reader.sql", account)
    for account in writers:
        await _grant(connection, "mysql_writer.sql", account)
    for account in auditors:
        await _grant(connection, "mysql_auditor.sql", account)
    for account in redactors:
        await _grant(connection, "mysql_redactor.sql", account)
    return [
        *(made if existed else [f"database {database}, written by {_OWNER}"]),
        *(f"{account} may append" for account in writers),
        *(f"{account} may read" for account in auditors),
        *(f"{account} may redact" for account in redactors),
    ]


async def _make(connection: Connection) -> tuple[bool, list[str]]:
    """What is missing, and anew what is another one than this dbdeck makes. Whether there was a ledger, and
    what was made.
    """
    there = await _objects(connection)
    existed = "append_entry" in there
    (known,) = (await connection.fetch(_HAS_LEDGER)).rows[0]
    lost: list[str] = []
    made: list[str] = []
    for text in statements("mysql.sql"):
        kind, named = _object(text)
        if named in there and not there[named].is_made_of(mysql_objects([text])[kind, named]):
            lost += await _drop(connection, kind, named)
            del there[named]
        if named not in there:
            await connection.fetch(text)
            made += [f"{kind} {named}, which was missing or another one"] if named else []
    if existed and not known:
        made.insert(0, NEW_ID)
    for grant in lost:
        await connection.fetch(grant)
    return existed, made


async def _objects(connection: Connection) -> dict[str, _Object]:
    """Triggers and routines, which know no IF NOT EXISTS everywhere."""
    found = await connection.fetch(sql("mysql_objects.sql"))
    return {
        str(name): _Object(None if text is None else digest(text), bool(wrong))
        for name, text, wrong in found.rows
    }


async def _drop(connection: Connection, kind: str, name: str) -> list[str]:
    """What gives the rights back that go with a procedure."""
    grants: list[str] = []
    if kind == "procedure":
        found = await connection.fetch(sql("mysql_grants.sql"), (name,))
        grants = [f"grant execute on procedure {name} to {quote_account(f'{u}@{h}')}" for u, h in found.rows]
    await connection.fetch(f"drop {kind} {name}")
    return grants


def _object(statement: str) -> tuple[str, str]:
    found = _OBJECT.search(statement)
    return (found[1], found[2]) if found else ("", "")


async def _grant(connection: Connection, name: str, account: str) -> None:
    for text in statements(name):
        await connection.fetch(text.format(account=quote_account(account)))


def quote_account(account: str) -> str:
    """user@host, or user alone for any host, in quotes; the last @ is the one that divides."""
    user, at, host = account.rpartition("@")
    parts = (user, host) if at else (host, "%")
    return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in parts)
