"""What can be looked at for damage: tables and their indexes, and the program that looks."""

from __future__ import annotations

import msgspec


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A relation of a table: its rows, its long values (`toast`), or one of its indexes.

    `number` is its oid; `method` is btree, gin, … of an index, and heap or another way to keep rows. `bytes`
    are as of the last vacuum or analyze.
    """

    schema: str
    table: str
    relation_schema: str
    name: str
    number: int
    index: bool
    toast: bool
    method: str
    bytes: int


class CheckSite(msgspec.Struct, frozen=True, kw_only=True):
    """`extension` is the schema of amcheck; empty where it is not in the database. `checksums` of pages."""

    extension: str
    checksums: bool = False
    relations: tuple[Checked, ...]
