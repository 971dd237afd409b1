"""Global variables as the server describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.engine.mysql.link import Link
from console.engine.mysql.read_only import read_only
from console.errors import PrivilegeMissing, UsageError
from console.model.settings import Setting

Record = Mapping[str, Any]
_SERVER = ("server",)
_KINDS = {
    "integer": "integer", "bigint": "integer", "bigint unsigned": "integer", "int": "integer",
    "int unsigned": "integer", "numeric": "real", "double": "real", "boolean": "bool", "enumeration": "enum",
    "enum": "enum", "set": "set", "flagset": "set",
}  # fmt: skip


async def setting(link: Link, name: str, *, role: str, database: str) -> Setting | None:
    """The global value: what this connection set for itself does not count. `value` is MySQL's persisted
    one, which the next start of the server takes.

    Raises UsageError for a role or a database: variables have no such scope here.
    """
    if role or database:
        raise UsageError(
            f"{link.target.name}: MySQL and MariaDB have no settings of a role or a database",
            "leave `role` and `database` away",
        )
    _, identity = await link.connected()
    wanted = name.strip().lower().replace("-", "_")
    rows = await link.fetch("setting", "settings", wanted)
    if not rows:
        return None
    if identity.flavor == "mariadb":
        return of_mariadb(rows[0])
    return of_mysql(rows[0], await _persisted(link, wanted))


async def _persisted(link: Link, name: str) -> str | None:
    try:
        rows = await link.fetch("setting_persisted", "persisted settings", name)
    except PrivilegeMissing:
        return None
    return str(rows[0]["value"]) if rows else None


# ---- pure --------------------------------------------------------------------------------------


def of_mysql(row: Record, persisted: str | None) -> Setting:
    """Bounds are empty or both 0 where there are none."""
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
        restart=read_only(row["name"]),
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
