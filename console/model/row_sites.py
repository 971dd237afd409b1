"""A table whose rows are to be deleted: what has to be known of it first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class RowColumn(msgspec.Struct, frozen=True, kw_only=True):
    """`generated`: the server works it out, and it cannot be written."""

    name: str
    type: str
    generated: bool = False


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign key of another table that refers to it; `rule` is what a deletion does to its rows."""

    name: str
    table: str
    rule: str

    @property
    def reaches(self) -> bool:
        """Deleting here changes rows there."""
        return self.rule in ("cascade", "set null", "set default")


class RowSite(msgspec.Struct, frozen=True, kw_only=True):
    """`indexes` are the columns of each whole index in their order; `primary` those of the primary key.

    `kind` is `table`, or what else it is. `secured`: row security may hide rows (PostgreSQL). `children`
    inherit from it. `storage` is the engine (MySQL, MariaDB), or `unlogged`: a crash empties it (PostgreSQL).
    """

    schema: str
    name: str
    number: int = 0
    kind: str = "table"
    columns: tuple[RowColumn, ...] = ()
    primary: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    triggers: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    secured: bool = False
    storage: str = ""

    def column(self, name: str) -> RowColumn | None:
        return next((one for one in self.columns if one.name == name), None)

    def led_by(self, columns: Sequence[str]) -> bool:
        """Whether an index begins with these columns, in whatever order."""
        wanted = set(columns)
        return any(set(one[: len(wanted)]) == wanted for one in (*self.indexes, self.primary))
