"""Global variables as the server describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from console.engine.mysql.link import Link
from console.engine.mysql.read_only import read_only
from console.engine.mysql.rows import account_literal
from console.errors import PrivilegeMissing, UsageError
from console.model.settings import AtStart, Setting

Record = Mapping[str, Any]
_SERVER = ("server",)
_KINDS = {
    "integer": "integer", "bigint": "integer", "bigint unsigned": "integer", "int": "integer",
    "int unsigned": "integer", "numeric": "real", "double": "real", "boolean": "bool", "enumeration": "enum",
    "enum": "enum", "set": "set", "flagset": "set",
}  # fmt: skip


async def setting(link: Link, name: str, *, narrower: bool) -> Setting | None:
    """The global value: what this connection set for itself does not count. `value` is MySQL's persisted
    one, which the next start of the server takes.

    Raises UsageError for anything narrower than the server: variables have no such scope here.
    """
    if narrower:
        raise UsageError(
            f"{link.target.name}: MySQL and MariaDB have no settings of a role, a database or a table",
            "leave `role`, `database` and `table` away",
        )
    _, identity = await link.connected()
    wanted = name.strip().lower().replace("-", "_")
    rows = await link.fetch("setting", "settings", wanted)
    if not rows:
        return None
    if identity.flavor == "mariadb":
        return of_mariadb(rows[0])
    try:
        persisted = await link.fetch("setting_persisted", "persisted settings", wanted)
    except PrivilegeMissing:
        return hidden(of_mysql(rows[0], None), account_literal(identity.user))
    return of_mysql(rows[0], str(persisted[0]["value"]) if persisted else None)


# ---- pure --------------------------------------------------------------------------------------


def hidden(one: Setting, login: str) -> Setting:
    grant = f"GRANT SELECT ON performance_schema.* TO {login};"
    known = AtStart(pending=False, seen=False) if one.restart else None
    return msgspec.structs.replace(
        one, at_start=known, notes=(*one.notes, f"what is persisted cannot be seen: {grant}")
    )


def of_mysql(row: Record, persisted: str | None) -> Setting:
    """Bounds are empty or both 0 where there are none."""
    restart = read_only(row["name"])
    pending = persisted is not None and persisted != row["value"]
    bounded = (row["smallest"] or "0", row["largest"] or "0") != ("0", "0")
    return Setting(
        name=row["name"],
        value=persisted,
        server_value=row["value"] or "",
        kind=_kind(row["kind"], row["value"], bounded=bounded),
        smallest=row["smallest"] if bounded else None,
        largest=row["largest"] if bounded else None,
        summary=row["summary"] or "",
        scopes=_SERVER,
        restart=restart,
        at_start=AtStart(pending=pending, seen=True, next=persisted) if restart else None,
        notes=() if row["loads"] else ("persisted_globals_load is off: no start takes what is persisted",),
    )


def _kind(kind: str | None, value: str | None, *, bounded: bool) -> str:
    """The type of a variable; MySQL tells it from 9.0 on, before the bounds and the value have to do."""
    if kind:
        return _KINDS.get(kind.lower(), "string")
    if bounded:
        return "integer"
    return "bool" if value in ("ON", "OFF") else "string"


def of_mariadb(row: Record) -> Setting:
    kind = _KINDS.get(str(row["kind"]).lower(), "string")
    number = kind in ("integer", "real")
    return Setting(
        name=str(row["name"]).lower(),
        value=None,
        server_value=row["value"] or "",
        kind=kind,
        smallest=row["smallest"] if number else None,
        largest=row["largest"] if number else None,
        choices=tuple((row["choices"] or "").split(",")) if row["choices"] else (),
        summary=row["summary"] or "",
        scopes=_SERVER,
        restart=row["read_only"] == "YES",
    )
