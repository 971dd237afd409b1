"""An index as the servers describe it, and what of it another one covers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from console.engine.mysql.numbers import Pair
from console.engine.queries import quote_ident

Record = Mapping[str, Any]
PRIMARY = "PRIMARY"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A column of an index, or its first `length` characters; else an expression (MySQL 8.0.13+)."""

    column: str = ""
    length: int | None = None
    descending: bool = False
    expression: str = ""

    @property
    def text(self) -> str:
        name = f"({self.expression})" if self.expression else quote_ident(self.column, "mysql")
        return f"{name}{f'({self.length})' if self.length else ''}{' DESC' if self.descending else ''}"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One index. `kind` is BTREE, HASH, RTREE, FULLTEXT or SPATIAL; `nullable`: a column of it may be NULL.

    A `disabled` one (MyISAM) is not kept up to date; one that is not `visible` (MariaDB: ignored) is kept
    up to date and never read.
    """

    schema: str
    table: str
    name: str
    parts: tuple[Part, ...]
    unique: bool = False
    kind: str = "BTREE"
    nullable: bool = False
    visible: bool = True
    disabled: bool = False

    @property
    def pair(self) -> Pair:
        return self.schema, self.table

    @property
    def primary(self) -> bool:
        return self.name == PRIMARY

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(part.column for part in self.parts)

    @property
    def definition(self) -> str:
        """As CREATE TABLE has it."""
        listed = ", ".join(part.text for part in self.parts)
        if self.primary:
            return f"PRIMARY KEY ({listed})"
        special = self.kind if self.kind in ("FULLTEXT", "SPATIAL") else "UNIQUE" if self.unique else ""
        using = " USING HASH" if self.kind == "HASH" else ""
        hidden = "" if self.visible else " INVISIBLE"
        return f"{special} KEY {quote_ident(self.name, 'mysql')} ({listed}){using}{hidden}".lstrip()


def keys(rows: Iterable[Record]) -> list[Key]:
    """From the parts of all, each index's in their order. Two tables may differ by the case of a letter."""
    grouped: dict[tuple[str, str, str], list[Record]] = {}
    for row in rows:
        grouped.setdefault((row["table_schema"], row["table_name"], row["index_name"]), []).append(row)
    return [_key(parts) for parts in grouped.values()]


def _key(rows: list[Record]) -> Key:
    first = rows[0]
    return Key(
        schema=first["table_schema"],
        table=first["table_name"],
        name=first["index_name"],
        parts=tuple(_part(row) for row in rows),
        unique=not int(first["non_unique"]),
        kind=first["type"],
        nullable=any(row["nullable"] == "YES" for row in rows),
        visible=bool(first["visible"]),
        disabled=first["remark"] == "disabled",
    )


def _part(row: Record) -> Part:
    return Part(
        column=row["column_name"] or "",
        length=None if row["length"] is None else int(row["length"]),
        descending=row["direction"] == "D",
        expression=row["expression"] or "",
    )


# ---- what covers what ------------------------------------------------------------------------------


def bare(key: Key, primary: Key | None) -> tuple[Part, ...]:
    """Without the primary key at the end: InnoDB appends it to every other index by itself (MySQL manual
    17.6.2.1). A unique one means something else without it.
    """
    if primary is None or key.primary or key.unique or key.kind != "BTREE":
        return key.parts
    for length in range(min(len(primary.parts), len(key.parts) - 1), 0, -1):
        if key.parts[-length:] == primary.parts[:length]:
            return key.parts[:-length]
    return key.parts


def is_prefix(shorter: tuple[Part, ...], longer: tuple[Part, ...]) -> bool:
    """Whether every search by the one can use the other: the same parts lead it, the last may be longer."""
    if not shorter or len(shorter) > len(longer):
        return False
    last, counterpart = shorter[-1], longer[len(shorter) - 1]
    return shorter[:-1] == longer[: len(shorter) - 1] and (
        last == counterpart or (last.length is not None and _is_longer(counterpart, last))
    )


def _is_longer(part: Part, other: Part) -> bool:
    same = (part.column, part.descending, part.expression) == (
        other.column,
        other.descending,
        other.expression,
    )
    return same and (part.length is None or part.length >= (other.length or 0))
