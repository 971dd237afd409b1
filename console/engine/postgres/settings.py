"""Settings of PostgreSQL: the server's value, and the entries for a role, a database, or both.

Sources: pg_settings and pg_db_role_setting; precedence as in the manual, "ALTER ROLE", Notes: an entry for
the role in the database, then the role's, then the database's, then that of all roles (ALTER ROLE ALL),
then the server's configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from console.engine.port import READ_SECONDS
from console.engine.postgres import at_start
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.engine.queries import query
from console.errors import PrivilegeMissing, UsageError
from console.model.settings import Entry, Setting

# Where a value comes from that other logins would not have got (pg_settings.source).
_OURS = ("client", "database", "user", "database user", "session", "interactive")
# Checked on 15, 17 and 18: ALTER ROLE refuses the contexts backend and superuser-backend as well.
_FOR_SESSIONS = ("user", "superuser")
# ALTER SYSTEM refuses these (GUC_DISALLOW_IN_AUTO_FILE and GUC_DISALLOW_IN_FILE in guc_tables.c).
_NOT_BY_ALTER_SYSTEM = frozenset({"allow_alter_system", "config_file", "data_directory"})
Entries = Mapping[tuple[int, int], str]


class Scope(NamedTuple):
    """Of both empty it is the server."""

    role: str = ""
    database: str = ""


class Served(NamedTuple):
    """What a session gets by the server's own configuration; None where it cannot be told."""

    value: str | None
    by_alter_system: str | None = None
    notes: tuple[str, ...] = ()


async def read(link: Link, name: str, scope: Scope) -> Setting | None:
    """None where the server knows no such setting.

    Raises UsageError for a role or a database that does not exist, PrivilegeMissing where the setting
    may exist and be hidden from this login.
    """
    rights = (await link.fetch("setting_rights", "the settings"))[0]
    found = await link.fetch("setting", "the setting", name)
    if not found:
        if not rights["sees_all"]:
            raise PrivilegeMissing(
                f"{link.target.name}: {name!r} is unknown, or hidden from {link.target.monitor.user}",
                f"GRANT pg_read_all_settings TO {link.target.monitor.user};",
            )
        return None
    own, entries = _entries(await link.fetch("setting_scopes", "the settings", name, *scope), scope, link)
    covering = await link.fetch("setting_others", "the settings", name, *scope)
    bare = found[0] if found[0]["source"] not in _OURS else await _unasked(link, name)
    one = setting(found[0], served(bare, sees_files=rights["sees_all"]), own, entries, rights["alter_system"])
    one = msgspec.structs.replace(
        one, others=others(covering), more=_more(covering), covered=_covered(bare, entries)
    )
    return one if any(scope) else await at_start.read(link, one, bare, rights)


async def _unasked(link: Link, name: str) -> Record:
    """As seen by a login that asks for nothing: our own sets limits for itself (driver.READ_LIMITS)."""
    _, identity = await link.connected()
    sql = query("postgres", "setting", "postgresql", identity.version_num)
    async with link.bare("settings") as connection:
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, name, timeout=READ_SECONDS)
        except FAILURES as error:
            raise on_read(error, link.target, "the setting") from None
    return rows[0]


def _entries(rows: Sequence[Record], scope: Scope, link: Link) -> tuple[tuple[int, int], Entries]:
    """The (role, database) oids asked for, and the entries there are. Raises UsageError."""
    first = rows[0]
    for kind, name in zip(Scope._fields, scope, strict=True):
        if name and first[kind] is None:
            raise UsageError(
                f"{link.target.name} has no {kind} {name!r}; nothing was read", f"check the {kind}'s name"
            )
    entries = {
        (row["for_role"], row["for_database"]): row["value"] for row in rows if row["value"] is not None
    }
    return (first["role"] or 0, first["database"] or 0), entries


def served(row: Record, *, sees_files: bool) -> Served:
    """`reset_val` is what the session would return to: by the server's configuration, unless the login's
    own role or database has an entry, or the login asked for a value. Then the rest is covered by it.
    """
    name, source = row["name"], row["source"]
    if source in _OURS:
        why = (
            "every login of dbdeck asks for it"
            if source == "client"
            else f"an entry for the {source} of dbdeck's login"
        )
        return Served(None, notes=(f"the server's own {name} is covered by {why} and cannot be seen",))
    if source == "global":
        return Served(row["reset_val"], notes=("an entry for all roles covers what the configuration says",))
    if source != "configuration file":
        return Served(row["reset_val"])
    if not sees_files:
        note = "which file it comes from is hidden: GRANT pg_read_all_settings to the login"
        return Served(row["reset_val"], notes=(note,))
    by_alter_system = (row["sourcefile"] or "").endswith(at_start.AUTO)
    return Served(row["reset_val"], row["reset_val"] if by_alter_system else None)


def setting(
    row: Record, server: Served, own: tuple[int, int], entries: Entries, alter_system: str | None
) -> Setting:
    """`value` at the server's scope is what ALTER SYSTEM wrote (and ALTER SYSTEM RESET would take away)."""
    role, database = own
    value = entries.get(own) if any(own) else server.by_alter_system
    covering = [
        entries[key] for key in ((role, 0), (0, database)) if key not in (own, (0, 0)) and key in entries
    ]
    otherwise = covering[0] if covering and any(own) else server.value
    if otherwise is None:
        otherwise = entries.get((0, 0))
    return Setting(
        name=row["name"],
        value=value,
        server_value=otherwise or "",
        server_known=otherwise is not None,
        unit=row["unit"] or "",
        kind=row["kind"],
        smallest=row["smallest"],
        largest=row["largest"],
        choices=tuple(json.loads(row["choices"])) if row["choices"] else (),
        summary=row["summary"],
        scopes=scopes(row["name"], row["context"], alter_system),
        restart=row["context"] == "postmaster",
        notes=server.notes,
    )


def _covered(bare: Record, entries: Entries) -> str:
    """What stands above the configuration files for everybody (GucSource in guc.h)."""
    if (0, 0) in entries:
        return "the entry for all roles"
    return "the command line of the server" if bare["source"] == "command line" else ""


def others(rows: Sequence[Record]) -> tuple[Entry, ...]:
    return tuple(
        Entry(where=_where(row["role"], row["database"]), value=row["value"], wins=row["wins"])
        for row in rows
    )


def _more(rows: Sequence[Record]) -> int:
    return rows[0]["total"] - len(rows) if rows else 0


def _where(role: str | None, database: str | None) -> str:
    """An entry without either is that of ALTER ROLE ALL."""
    who = f"role {role}" if role else "" if database else "all roles"
    return " in ".join(part for part in (who, f"database {database}" if database else "") if part)


def scopes(name: str, context: str, alter_system: str | None) -> tuple[str, ...]:
    """Where it can be set. `alter_system` is allow_alter_system (17+), None on older servers."""
    found = ["role", "database", "role in database"] if context in _FOR_SESSIONS else []
    if context != "internal" and name not in _NOT_BY_ALTER_SYSTEM and alter_system != "off":
        found.insert(0, "server")
    return tuple(found)
