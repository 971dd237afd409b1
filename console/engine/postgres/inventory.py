"""What is in a database: every object by kind and full name, with a fingerprint of what makes it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from console.engine.postgres.aside import Aside
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.remedies import role_in_sql
from console.engine.postgres.rows import Record
from console.model.inventory import Inventory, Objects

TRIES = 3  # an object that is dropped while its definition is written out fails the read


LOCKED = "somebody locks a table that one of them reads: look again when it is free"


class Read(NamedTuple):
    """`kinds` are those that only this read tells of, `catalogs` what it needs beyond everybody's."""

    name: str
    kinds: tuple[str, ...]
    catalogs: tuple[str, ...]
    args: tuple[object, ...] = ()


OF_DATABASE = (
    Read(
        "inventory_tables",
        ("table", "partition", "foreign table"),
        ("pg_class", "pg_attribute", "pg_attrdef", "pg_inherits", "pg_foreign_table"),
    ),
    Read("inventory_views", ("view", "materialized view"), ("pg_class", "pg_attribute", "pg_rewrite")),
    Read(
        "inventory_relations", ("sequence", "index", "invalid index"), ("pg_sequence", "pg_index")
    ),
    Read("inventory_routines", ("function", "procedure", "aggregate"), ("pg_proc", "pg_aggregate")),
    Read(
        "inventory_constraints",
        ("primary key", "foreign key", "unique constraint", "check constraint", "exclusion constraint"),
        ("pg_constraint",),
    ),
    Read(
        "inventory_triggers",
        ("trigger", "event trigger", "rule", "policy"),
        ("pg_trigger", "pg_event_trigger", "pg_rewrite", "pg_policy"),
    ),
    Read("inventory_types", ("type", "domain", "enum"), ("pg_type", "pg_enum", "pg_range")),
    Read(
        "inventory_parts",
        (
            "schema", "extension", "statistics object", "collation", "text search configuration",
            "text search dictionary", "text search parser", "operator", "operator class", "operator family",
            "cast", "conversion", "language", "transform", "access method", "large objects",
        ),
        (
            "pg_extension", "pg_statistic_ext", "pg_collation", "pg_ts_config", "pg_ts_dict", "pg_ts_parser",
            "pg_operator", "pg_opclass", "pg_opfamily", "pg_cast", "pg_conversion", "pg_language",
            "pg_transform", "pg_am", "pg_largeobject_metadata",
        ),
    ),
    Read(
        "inventory_links",
        ("publication", "subscription", "foreign data wrapper", "foreign server", "user mapping"),
        ("pg_publication", "pg_publication_rel", "pg_foreign_server", "pg_user_mappings"),
    ),
    Read("inventory_grants", ("grant", "default privilege"), ("pg_default_acl", "pg_init_privs")),
    Read("inventory_settings", ("setting",), ("pg_db_role_setting",), (True,)),
)  # fmt: skip
OF_SERVER = (
    Read(
        "inventory_server",
        ("role", "membership", "database", "tablespace", "grant"),
        ("pg_roles", "pg_auth_members", "pg_database", "pg_tablespace"),
    ),
    Read("inventory_settings", ("setting",), ("pg_db_role_setting",), (False,)),
)


async def read(aside: Aside, database: str) -> Inventory:
    """`database` empty is what belongs to the server. Raises an Unreachable error."""
    objects: Objects = {}
    unseen: dict[str, str] = {}
    for one in OF_DATABASE if database else OF_SERVER:
        try:
            rows = await _rows(aside, one)
        except asyncpg.InsufficientPrivilegeError:
            unseen |= dict.fromkeys(one.kinds, _grant(one, aside.user))
        except asyncpg.LockNotAvailableError:
            unseen |= dict.fromkeys(one.kinds, LOCKED)
        except FAILURES as error:
            raise on_read(error, aside.target, f"the inventory ({', '.join(one.kinds)})") from None
        else:
            add(objects, rows)
    return Inventory(
        database=database, flavor="postgresql", version=aside.major, objects=objects, unseen=unseen
    )


async def _rows(aside: Aside, one: Read) -> list[asyncpg.Record]:
    for _ in range(TRIES - 1):
        try:
            return await aside.raw(aside.text(one.name), *one.args)
        except (asyncpg.InternalServerError, asyncpg.UndefinedObjectError, asyncpg.UndefinedTableError):
            await asyncio.sleep(0.1)
    return await aside.raw(aside.text(one.name), *one.args)


def _grant(one: Read, user: str) -> str:
    return (
        f"GRANT SELECT ON {', '.join(f'pg_catalog.{name}' for name in one.catalogs)} TO {role_in_sql(user)};"
    )


def add(objects: Objects, rows: Iterable[Record]) -> None:
    """Two of one kind and name, such as two mappings of a dropped role, keep both definitions."""
    several: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        several.setdefault((row["kind"], row["name"]), []).append(fingerprint(row["definition"]))
    for (kind, name), found in several.items():
        objects.setdefault(kind, {})[name] = found[0] if len(found) == 1 else fingerprint(sorted(found))


def fingerprint(parts: Sequence[str | None]) -> str:
    """SHA-256, shortened to 128 bits, of a definition's parts; empty where there is nothing to compare."""
    if not any(parts):
        return ""
    encoded = msgspec.json.encode([None if part is None else settled(part) for part in parts])
    return hashlib.sha256(encoded).hexdigest()[:32]


_CAST_ARRAY = re.compile(r"\)::((?:\"(?:[^\"]|\"\")*\"|[\w .])+?(?:\(\d+(?:,\d+)?\))?)\[\]")


def settled(text: str) -> str:
    """A definition as it reads once it was dumped and restored. The server writes a cast of an array
    constant at first as `(ARRAY['a'::character varying])::text[]`, and what it makes of reading that as
    `ARRAY[('a'::character varying)::text]`: the same expression, which here becomes the second.
    """
    start = text.find("(ARRAY[")
    while start >= 0:
        items, end = _items(text, start + len("(ARRAY["))
        cast = _CAST_ARRAY.match(text, end + 1) if end >= 0 else None
        if cast is not None:
            told = ", ".join(f"({item})::{cast[1]}" for item in items)
            text = f"{text[:start]}ARRAY[{told}]{text[cast.end() :]}"
        start = text.find("(ARRAY[", start + 1)
    return text


def _items(text: str, start: int) -> tuple[list[str], int]:
    """What stands between the bracket before `start` and the one that closes it, and where that is; -1 where
    none does.
    """
    items: list[str] = []
    depth, quote, begun = 0, "", start
    for place in range(start, len(text)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([":
            depth += 1
        elif sign in ")]" and depth:
            depth -= 1
        elif sign == "]":
            return [*items, text[begun:place].strip()], place
        elif sign == "," and not depth:
            items.append(text[begun:place].strip())
            begun = place + 1
    return [], -1
