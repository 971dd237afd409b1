"""What an account was granted, and what a login may grant, on every engine; never polled."""

from __future__ import annotations

from collections.abc import Sequence

from console.engine.port import READ_SECONDS, Engine
from console.engine.queries import query, quote_literal
from console.errors import ActionFailed, PrivilegeMissing
from console.model.access import POSTGRESQL

MOST = 5000


async def held(engine: Engine, name: str, host: str | None) -> frozenset[tuple[str, str]]:
    """(privilege, what it is on) of `console.model.access`; roles of PostgreSQL are on nothing.

    What is granted through another role is not seen. Raises PrivilegeMissing where it may not be read.
    """
    server = await engine.identity()
    if server.flavor == POSTGRESQL:
        sql = query("postgres", "rights_of", server.flavor, server.version_num)
        found = await _rows(engine, sql, (name,), name)
        return frozenset((str(row["privilege"]), "") for row in found)
    sql = query("mysql", "rights_of", server.flavor, server.version_num)
    account = f"{quote_literal(name, server.flavor)}@{quote_literal(host or '%', server.flavor)}"
    found = await _rows(engine, sql, (account,) * 3, name)
    return frozenset((str(row["privilege"]), f"{row['in_schema']}.{row['in_table']}") for row in found)


async def not_grantable(engine: Engine, roles: Sequence[str], by: str) -> tuple[str, ...]:
    """Of PostgreSQL's roles those that `by` may not make anybody a member of; '' where it may make none."""
    server = await engine.identity()
    if server.flavor != POSTGRESQL:
        return ()
    sql = query("postgres", "may_grant", server.flavor, server.version_num)
    return tuple(str(row["role"]) for row in await _rows(engine, sql, (list(roles), by), by))


async def roles_lacking(engine: Engine, roles: Sequence[str], user: str) -> tuple[str, ...]:
    """Of PostgreSQL's roles those whose rights somebody has not, by a grant of its own or by another's."""
    server = await engine.identity()
    sql = query("postgres", "roles_lacking", server.flavor, server.version_num)
    return tuple(str(row["role"]) for row in await _rows(engine, sql, (list(roles), user), user))


async def _rows(engine: Engine, sql: str, args: tuple[object, ...], name: str) -> Sequence[dict[str, object]]:
    try:
        found = await engine.select(sql, args, seconds=READ_SECONDS, limit=MOST)
    except ActionFailed as error:
        raise PrivilegeMissing(f"the rights of {name} cannot be seen: {error.message}", error.hint) from None
    return found.rows
