"""The statements that set and reset a setting. None of them takes bound values: all is quoted here."""

from __future__ import annotations

import re

import msgspec

from actions.setting_values import QUOTED_LISTS, elements
from console.engine.port import Statement
from console.engine.queries import quote_ident, quote_literal
from console.errors import UsageError
from console.model.settings import Setting, Storage

_PLAIN_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)?")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a setting is set: the whole server where role, database and table are empty."""

    flavor: str
    role: str = ""
    database: str = ""
    table: str = ""  # as present.names shows it
    persist: bool = False

    @property
    def scope(self) -> str:
        if self.table:
            return "table"
        if self.role and self.database:
            return "role in database"
        return "role" if self.role else "database" if self.database else "server"

    @property
    def words(self) -> str:
        if self.role and self.database:
            return f"role {self.role} in database {self.database}"
        return f"{self.scope} {self.table or self.role or self.database}".strip()


def assign(place: Place, setting: Setting, value: str) -> tuple[Statement, ...]:
    """Set it there; at the scope of a PostgreSQL server the second statement makes it reload its files."""
    name = name_of(setting, place)
    if place.flavor != "postgresql":
        how = "GLOBAL" if not place.persist else "PERSIST_ONLY" if setting.restart else "PERSIST"
        return (_statement(f"SET {how} {name} = {_mysql_value(setting, value, place.flavor)}"),)
    if setting.storage is not None:
        return (_alter(setting.storage, f"SET ({name} = {quote_literal(value, place.flavor)})"),)
    return _at(place, f"SET {name} = {_postgres_value(setting, value)}")


def clear(place: Place, setting: Setting) -> tuple[Statement, ...]:
    """Take the entry of exactly that scope away; on MySQL and MariaDB: back to the compiled default."""
    name = name_of(setting, place)
    if setting.storage is not None:
        return (_alter(setting.storage, f"RESET ({name})"),)
    if place.flavor == "postgresql":
        return _at(place, f"RESET {name}")
    gone = (_statement(f"RESET PERSIST IF EXISTS {name}"),) if place.persist else ()
    return gone if setting.restart else (*gone, _statement(f"SET GLOBAL {name} = DEFAULT"))


def _alter(storage: Storage, what: str) -> Statement:
    kind = "MATERIALIZED VIEW" if storage.kind == "materialized view" else "TABLE"
    table = ".".join(quote_ident(part, "postgresql") for part in (storage.schema, storage.name))
    return _statement(f"ALTER {kind} {table} {what}")


def _at(place: Place, what: str) -> tuple[Statement, ...]:
    if place.scope == "server":
        return _statement(f"ALTER SYSTEM {what}"), _statement("SELECT pg_reload_conf()")
    database = quote_ident(place.database, place.flavor) if place.database else ""
    if not place.role:
        return (_statement(f"ALTER DATABASE {database} {what}"),)
    inside = f" IN DATABASE {database}" if database else ""
    return (_statement(f"ALTER ROLE {quote_ident(place.role, place.flavor)}{inside} {what}"),)


def name_of(setting: Setting, place: Place) -> str:
    """Raises UsageError for a name that is none: it comes from the server, and is part of a statement."""
    if not _NAME.fullmatch(setting.name):
        raise UsageError(f"{setting.name!r} is no name of a setting; nothing was executed")
    return ".".join(quote_ident(part, place.flavor) for part in setting.name.split("."))


def _postgres_value(setting: Setting, value: str) -> str:
    if setting.name.lower() in QUOTED_LISTS:
        return ", ".join(quote_literal(part, "postgresql") for part in elements(value))
    return quote_literal(value, "postgresql")


def _mysql_value(setting: Setting, value: str, flavor: str) -> str:
    """Numbers of numeric variables are not quoted: the server refuses text there."""
    if setting.kind in ("integer", "real") and _PLAIN_NUMBER.fullmatch(value):
        return value
    return quote_literal(value, flavor)


def _statement(sql: str) -> Statement:
    return Statement(sql=sql, shown=sql)
