"""What a login may not do to tables, with the GRANT that would let it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from console.engine.port import Need
from console.engine.postgres.link import Link
from console.engine.postgres.remedies import role_in_sql, to_set_passwords
from console.engine.postgres.rows import Record
from console.engine.queries import quote_ident

Read: TypeAlias = "Callable[..., Awaitable[Sequence[Record]]]"  # by the name of a query, with its arguments


async def lacking(link: Link, needs: Sequence[Need]) -> tuple[str, ...]:
    """Of the target's operator, by its name, as the monitor's login sees it in the catalogs."""
    operator = link.target.operator
    if operator is None or not needs:
        return ()
    _, identity = await link.connected()

    async def read(name: str, *args: object) -> Sequence[Record]:
        return await link.fetch(name, "the operator's rights", *args, operator.user)

    return await missing(needs, read, operator.user, identity.version_num)


async def missing(needs: Sequence[Need], read: Read, user: str, version: int) -> tuple[str, ...]:
    """In words, by the reads named `rights`, `password_rights` and `session_rights`."""
    tables = [one for one in needs if not one.role and not one.sessions_of]
    roles = [one.role for one in needs if one.role]
    ended = [one.sessions_of for one in needs if one.sessions_of]
    rows = await read("rights", *asked(tables)) if tables else ()
    set_for = await read("password_rights", roles) if roles else ()
    ends = await read("session_rights", [one for users in ended for one in users]) if ended else ()
    lacking = [may_not_set(row, user, version) for row in set_for]
    lacking += [may_not_end([row for row in ends if row["name"] in users], user) for users in ended]
    return (*words(rows, user, version), *(one for one in dict.fromkeys(lacking) if one))


def asked(needs: Sequence[Need]) -> tuple[list[str], list[str]]:
    owning = ["create" if one.create else "yes" if one.own else "no" for one in needs]
    return [str(one.number) for one in needs], owning


def words(rows: Sequence[Record], user: str, version: int) -> tuple[str, ...]:
    """A schema is named once, however many of its tables are wanted."""
    return tuple(dict.fromkeys(_words(row, user, version) for row in rows))


def _words(row: Record, user: str, version: int) -> str:
    if row["lacks"] != "table":
        right, schema = str(row["lacks"]).upper(), quote_ident(row["schema"], "postgresql")
        return f"{row['lacks']} schema {schema}: GRANT {right} ON SCHEMA {schema} TO {role_in_sql(user)};"
    table = f"{quote_ident(row['schema'], 'postgresql')}.{quote_ident(row['name'], 'postgresql')}"
    role = role_in_sql(user)
    if not row["own"] and version >= 170000:
        return f"maintain {table}: GRANT MAINTAIN ON {table} TO {role}; (or GRANT pg_maintain TO {role};)"
    if row["powerful"]:
        return f"{table} belongs to the superuser {row['owner']}, who has to do it, or give the table away"
    return f"{table} belongs to {row['owner']}: GRANT {role_in_sql(row['owner'])} TO {role};"


def may_not_set(row: Record, user: str, version: int) -> str:
    """What keeps a role from setting another one's password; manual, "ALTER ROLE", "Role Attributes"."""
    if row["me_super"] or row["own"]:
        return ""
    name = role_in_sql(row["name"])
    if row["target_super"]:
        return f"{name} is a superuser, whose password only a superuser sets"
    if row["me_createrole"] and row["admin"]:
        return ""
    return f"set the password of {name}: {to_set_passwords(name, user, version)}"


def may_not_end(rows: Sequence[Record], user: str) -> str:
    """What keeps a role from ending any session of these roles. A superuser's ends a superuser alone."""
    if not rows or any(row["may"] for row in rows):
        return ""
    name = role_in_sql(rows[0]["name"])
    if rows[0]["powerful"]:
        return f"end sessions of {name}, a superuser: only a superuser may"
    return f"end sessions of {name}: GRANT pg_signal_backend TO {role_in_sql(user)};"
