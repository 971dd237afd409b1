"""What a login may not do to tables, with the GRANT that would let it."""

from __future__ import annotations

from collections.abc import Sequence

from console.engine.port import Need
from console.engine.postgres.link import Link
from console.engine.postgres.remedies import role_in_sql, to_set_passwords
from console.engine.postgres.rows import Record
from console.engine.queries import quote_ident


async def lacking(link: Link, needs: Sequence[Need]) -> tuple[str, ...]:
    """Of the target's operator, by its name, as the monitor's login sees it in the catalogs."""
    operator = link.target.operator
    if operator is None or not needs:
        return ()
    _, identity = await link.connected()
    what, tables, roles = "the operator's rights", of_tables(needs), of_roles(needs)
    rows = await link.fetch("rights", what, *asked(tables), operator.user) if tables else ()
    found = await link.fetch("password_rights", what, roles, operator.user) if roles else ()
    return in_words(rows, found, operator.user, identity.version_num)


def of_tables(needs: Sequence[Need]) -> list[Need]:
    return [one for one in needs if not one.role]


def of_roles(needs: Sequence[Need]) -> list[str]:
    """Whose password is to be set."""
    return [one.role for one in needs if one.role]


def in_words(tables: Sequence[Record], roles: Sequence[Record], user: str, version: int) -> tuple[str, ...]:
    """From the rows of `rights` and `password_rights`."""
    lacking = (may_not_set(row, user, version) for row in roles)
    return (*words(tables, user, version), *(one for one in lacking if one))


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
