"""What a login may not do to tables, passwords and settings, with the GRANT that would let it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias

from console.engine.port import Need
from console.engine.postgres.link import Link
from console.engine.postgres.remedies import role_in_sql, to_set_passwords
from console.engine.postgres.rows import Record
from console.engine.queries import quote_ident

Ask: TypeAlias = "Callable[..., Awaitable[Sequence[Record]]]"  # the rows of a query, by its name


async def lacking(link: Link, needs: Sequence[Need]) -> tuple[str, ...]:
    """Of the target's operator, by its name, as the monitor's login sees it in the catalogs."""
    operator = link.target.operator
    if operator is None or not needs:
        return ()
    _, identity = await link.connected()

    async def ask(name: str, *given: object) -> Sequence[Record]:
        return await link.fetch(name, "the operator's rights", *given)

    return await told(ask, needs, Who(asked=operator.user, user=operator.user, version=identity.version_num))


class Who(NamedTuple):
    """`asked` is empty where the session's own role is meant."""

    asked: str
    user: str
    version: int


async def told(ask: Ask, needs: Sequence[Need], who: Who) -> tuple[str, ...]:
    kinds = (_on_tables, _on_passwords, _on_settings, _on_sessions)
    return tuple(dict.fromkeys([said for kind in kinds for said in await kind(ask, needs, who)]))


async def _on_tables(ask: Ask, needs: Sequence[Need], who: Who) -> Sequence[str]:
    tables = [one for one in needs if not (one.role or one.setting or one.sessions_of)]
    return words(await ask("rights", *asked(tables), who.asked), who.user, who.version) if tables else ()


async def _on_passwords(ask: Ask, needs: Sequence[Need], who: Who) -> Sequence[str]:
    roles = [one.role for one in needs if one.role and not one.setting]
    rows = await ask("password_rights", roles, who.asked) if roles else ()
    return [said for row in rows if (said := may_not_set(row, who.user, who.version))]


async def _on_settings(ask: Ask, needs: Sequence[Need], who: Who) -> Sequence[str]:
    settings = [one for one in needs if one.setting]
    scopes = [[getattr(one, part) for one in settings] for part in ("setting", "role", "database")]
    rows = await ask("setting_needs", *scopes, who.asked) if settings else ()
    return [said for row in rows for said in may_not_change(row, who.user, who.version)]


async def _on_sessions(ask: Ask, needs: Sequence[Need], who: Who) -> Sequence[str]:
    ended = [one.sessions_of for one in needs if one.sessions_of]
    rows = await ask("session_rights", [one for users in ended for one in users], who.asked) if ended else ()
    found = (may_not_end([row for row in rows if row["name"] in users], who.user) for users in ended)
    return [said for said in found if said]


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


def may_not_change(row: Record, user: str, version: int) -> list[str]:
    """What keeps a role from changing a setting; manual, "ALTER SYSTEM", "ALTER ROLE", "ALTER DATABASE"."""
    if row["me_super"]:
        return []
    name = role_in_sql(user)
    if not row["role"] and not row["database"]:
        return _of_server(row, name, version)
    found = _of_role(row, user, version) if row["role"] else _of_database(row, name)
    if row["may_set"] is False:
        right = f"GRANT SET ON PARAMETER {row['setting']} TO {name};" if version >= 150000 else ""
        found.append(f"set {row['setting']}: {right or 'only a superuser does'}")
    return found


def _of_server(row: Record, name: str, version: int) -> list[str]:
    found, parameter = [], row["setting"]
    if row["may_alter"] is False:
        right = f"GRANT ALTER SYSTEM ON PARAMETER {parameter} TO {name};" if version >= 150000 else ""
        found.append(f"change {parameter} of the server: {right or 'only a superuser does'}")
    if row["may_reload"] is False:
        found.append(f"reload the files: GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {name};")
    return found


def _of_role(row: Record, user: str, version: int) -> list[str]:
    """Everybody sets their own."""
    other = role_in_sql(row["role"])
    if row["own"] or row["target_super"] is None:
        return []
    if row["target_super"]:
        return [f"{other} is a superuser, whose settings only a superuser changes"]
    if row["me_createrole"] and row["admin"]:
        return []
    return [f"change settings of {other}: {to_set_passwords(other, user, version)}"]


def _of_database(row: Record, name: str) -> list[str]:
    if row["owns"] is not False:
        return []
    return [f"database {row['database']} belongs to {row['owner']}: GRANT {row['owner']} TO {name};"]
