"""Tables from the data dictionary, InnoDB's tablespaces and its statistics.

What makes a server open a table can wait for a metadata lock (measured: INNODB_TABLESTATS, INNODB_TABLES
and INNODB_INDEXES of MySQL stop already behind an ALTER TABLE that only waits; INFORMATION_SCHEMA.TABLES
behind a granted exclusive lock). So the tables are chosen by what never waits, and only the chosen ones
that nobody has locked are opened.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from console.engine.mysql import table_rows as to
from console.engine.mysql.link import Link
from console.engine.mysql.numbers import NO_TABLE, Pair, exhaustion
from console.engine.mysql.purge import Purger
from console.errors import PrivilegeMissing, ServerSilent
from console.model.tables import Exhaustion, TableOrder, TableQuery, Tables
from console.model.target import ServerIdentity

# A read of all tables is made again when it would take a twentieth of the time at most.
_REST = 20.0
_USED = 0.5


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of all tables: those whose numbers run out, and how many are `hidden` from the login.
    `until` is when it is read anew (monotonic seconds).
    """

    exhausted: dict[Pair, Exhaustion] = {}
    hidden: int = 0
    notes: tuple[str, ...] = ()
    until: float = 0.0


class TableReader:
    """Remembers what it knows of all tables for a while, since that costs a look at each of them."""

    def __init__(self, link: Link, purge: Purger) -> None:
        self._link = link
        self._purge = purge
        self._needs = Needs()
        self._of: ServerIdentity | None = None

    async def tables(self, wanted: TableQuery) -> Tables:
        """Raises PrivilegeMissing rather than show no tables where there are some."""
        locked = await exclusively_locked(self._link)
        needs = await self._needed(locked)
        rows = await self._seen(wanted, needs)
        names = tuple((row["table_schema"], row["table_name"]) for row in rows)
        about, notes = await self._about(names, locked)
        why, more = await self._backlog()
        return Tables(
            tables=tuple(to.table(row, about) for row in rows),
            total=int(rows[0]["total"]) if rows else await self._total(wanted),
            order=to.order(wanted.order, (await self._link.connected())[1].flavor),
            why=why,
            notes=(*needs.notes, *notes, *more, *to.notes_on(rows, about)),
        )

    async def names(self, wanted: TableQuery) -> tuple[Pair, ...]:
        """Those of `tables`, without their figures. Raises PrivilegeMissing as it does."""
        needs = await self._needed(await exclusively_locked(self._link))
        return tuple((row["table_schema"], row["table_name"]) for row in await self._seen(wanted, needs))

    async def _seen(self, wanted: TableQuery, needs: Needs) -> list[dict[str, Any]]:
        rows = await self._chosen(wanted, needs)
        if not rows and needs.hidden:
            raise await self._hidden(needs)
        return rows

    async def _chosen(self, wanted: TableQuery, needs: Needs) -> list[dict[str, Any]]:
        args = to.conditions(wanted)
        needy = wanted.order is TableOrder.NEED, tuple(needs.exhausted) or NO_TABLE
        by = wanted.order is TableOrder.AGE, wanted.order is TableOrder.NAME
        return await self._link.fetch("tables", "tables", *args, *needy, *by, wanted.limit, wanted.offset)

    async def _total(self, wanted: TableQuery) -> int:
        """How many there are before an offset that leads beyond the last."""
        if not wanted.offset:
            return 0
        rows = await self._chosen(msgspec.structs.replace(wanted, offset=0, limit=1), Needs())
        return int(rows[0]["total"]) if rows else 0

    async def _hidden(self, needs: Needs) -> PrivilegeMissing:
        _, identity = await self._link.connected()
        return PrivilegeMissing(
            f"{self._link.target.name}: {needs.hidden} tables are hidden from this login",
            to.visibility(identity.user),
        )

    async def _needed(self, locked: Sequence[Pair]) -> Needs:
        _, identity = await self._link.connected()
        if self._of is identity and time.monotonic() < self._needs.until:
            return self._needs
        began, self._of = time.monotonic(), identity
        hidden = int((await self._link.fetch("tables_hidden", "tables"))[0]["hidden"])
        notes: tuple[str, ...] = ()
        if hidden:
            notes += (f"{hidden} tables are hidden from this login: {to.visibility(identity.user)}",)
        try:
            found, more = await exhaustion(self._link, None, locked, _USED)
        except ServerSilent:
            found, more = {}, ("automatic numbers of all tables could not be read in time",)
        now = time.monotonic()
        self._needs = Needs(
            exhausted=found, hidden=hidden, notes=notes + more, until=now + _REST * (now - began)
        )
        return self._needs

    async def _about(self, names: Sequence[Pair], locked: Sequence[Pair]) -> tuple[to.About, tuple[str, ...]]:
        """What can be known of the chosen tables, from what can be read."""
        if not names:
            return to.About(), ()
        notes: list[str] = []
        try:
            rows = await self._link.fetch("table_figures", "tables", tuple(names), tuple(locked) or NO_TABLE)
            numbers, _ = await exhaustion(self._link, names, locked)
        except ServerSilent:  # somebody locked one of them a moment ago
            rows, numbers = [], {}
            notes.append("figures could not be read in time: a table is being changed, or the server is slow")
        statistics, note = await self._statistics(names)
        about = to.About(
            figures=to.by_table(rows), statistics=statistics, numbers=numbers, locked=frozenset(locked)
        )
        return about, (*notes, *note)

    async def _statistics(
        self, names: Sequence[Pair]
    ) -> tuple[dict[Pair, to.Record] | None, tuple[str, ...]]:
        try:
            rows = await self._link.fetch("table_statistics", "table statistics", tuple(names), tuple(names))
        except PrivilegeMissing as missing:
            return None, (f"when statistics were collected is unknown: {missing.hint}",)
        except ServerSilent:
            return None, ("when statistics were collected could not be read: somebody locks their table",)
        return to.by_table(rows), ()

    async def _backlog(self) -> tuple[str, tuple[str, ...]]:
        try:
            return to.backlog(await self._purge.horizon()), ()
        except PrivilegeMissing as missing:
            return "", (f"whether purge keeps up is unknown: {missing.hint}",)


async def exclusively_locked(link: Link) -> tuple[Pair, ...]:
    """Tables nobody can open now. Empty where MySQL does not show them: what would wait for one is
    given up after 0.7 s. MariaDB need not be asked, as our login does not wait there.
    """
    _, identity = await link.connected()
    if identity.flavor == "mariadb":
        return ()
    try:
        rows = await link.fetch("table_exclusive", "metadata locks")
    except PrivilegeMissing:
        return ()
    return tuple((row["table_schema"], row["table_name"]) for row in rows)
