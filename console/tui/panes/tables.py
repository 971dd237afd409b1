"""The Tables view: what needs vacuum, analyze or a rebuild, why, and the actions that do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.tables import Table, TableOrder, TableQuery, Tables
from console.present import tables
from console.present.names import shown
from console.present.table import Column, Line
from console.tui.messages import MeasureWanted, Told
from console.tui.panes.acting import ActingPane, Verb
from console.tui.widgets.bars import Key

_ORDERS = tuple(TableOrder)


class TablesPane(ActingPane[Tables, Table]):
    """In the server's order: of 100,000 tables only the first are fetched. Partitions fold."""

    name_of_subject = "tables"
    title = "Tables"
    columns = tables.COLUMNS
    empty = "There are no tables here."
    verbs = {
        "vacuum": Verb("v", "vacuum", "table.vacuum", ask=True),
        "analyze": Verb("a", "analyze", "table.analyze", ask=True),
        "heal": Verb("h", "whole database", "database.maintain", bulk=True, ask=True, short="all"),
        "reindex": Verb("x", "reindex", "index.reindex", ask=True, rank=2),
        "rewrite": Verb("w", "rewrite", "table.optimize", ask=True, rank=2),
        "tune": Verb("l", "limits", "setting.set", ask=True, rank=3),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "request('vacuum')", "Vacuum the table", id="tables.vacuum"),
        Binding("a", "request('analyze')", "Analyze the table", id="tables.analyze"),
        Binding("w", "request('rewrite')", "Rewrite the table", id="tables.rewrite"),
        Binding("x", "request('reindex')", "Rebuild the table's indexes", id="tables.reindex"),
        Binding("l", "request('tune')", "Set a parameter of the table", id="tables.tune"),
        Binding("h", "request('heal')", "Plan for the whole database", id="tables.heal"),
        Binding("s", "order", "Other order", id="tables.order"),
        Binding("space", "fold", "Show or hide partitions", id="tables.fold"),
        Binding("m", "measure", "Measure bloat exactly", id="tables.measure"),
    ]

    def __init__(
        self,
        read: Callable[[TableQuery], Awaitable[Tables]],
        *,
        every: float,
        refusal: Callable[[str], str],
    ) -> None:
        self._order = TableOrder.NEED
        self._unfolded: set[str] = set()
        super().__init__(lambda: read(TableQuery(order=self._order)), every=every, refusal=refusal)

    def items_of(self, data: Tables) -> Sequence[Table]:
        return [table for table in data.tables if table.parent is None or table.parent in self._unfolded]

    def lines(self, data: Tables) -> list[Line]:
        shown_ = {table.key for table in self.items_of(data)}
        return [line for line in tables.lines(data, self.reading.taken_at) if line.key in shown_]

    def key_of(self, item: Table) -> str:
        return item.key

    def summary(self, data: Tables) -> str:
        return tables.summary(data)

    def note(self, data: Tables) -> str:
        return tables.note(data)

    def details(self, item: Table) -> str:
        data = self.reading.data
        pairs = tables.details(data, item) if data is not None else []
        return "\n".join(f"{label:<11} {value}" for label, value in pairs)

    def document(self, data: Tables) -> dict[str, Any]:
        return {"rows": tables.document(data), **tables.beside(data)}

    def columns_of(self, data: Tables) -> Sequence[Column]:
        return tables.columns(data)

    def has(self, name: str) -> bool:
        return self._vacuums() or name not in ("vacuum", "reindex", "tune")

    def offers(self, action: str) -> bool:
        return super().offers(action) and (action != "measure" or self._vacuums())

    def _vacuums(self) -> bool:
        data = self.reading.data
        return data is None or tables.vacuums(data)

    def keys(self) -> list[Key]:
        item = self.current
        more = [Key("s", "order", "sort")]
        if item is not None and (item.partitions or item.parent):
            more.append(Key("Space", "fold", "unfold" if item.key not in self._unfolded else "fold"))
        if self._vacuums():
            more.append(Key("m", "measure", "measure"))
        return [*super().keys(), *more]

    def action_of(self, item: Table | None, name: str) -> str:
        """PostgreSQL rebuilds a table by VACUUM FULL."""
        if name == "rewrite" and item is not None and item.xid_age is not None:
            return "table.vacuum"
        return self.verbs[name].action

    def unfit(self, item: Table, name: str) -> str:
        postgres = item.xid_age is not None
        if name == "tune" and not postgres:
            return "this engine has no settings of a table"
        if name in ("vacuum", "reindex") and not postgres:
            return "this engine has no such thing: analyze or rebuild the table"
        return ""

    def arguments(self, item: Table | None, name: str) -> dict[str, object]:
        if name == "heal" or item is None:
            return {}
        given: dict[str, object] = {"table": shown(item.schema, item.name)}
        if name == "tune":
            return given | {"name": "autovacuum_vacuum_scale_factor", "value": "0.05"}
        return given | ({"full": "true"} if self.action_of(item, name) != self.verbs[name].action else {})

    # ---- keys ---------------------------------------------------------------------------------

    def action_order(self) -> None:
        self._order = _ORDERS[(_ORDERS.index(self._order) + 1) % len(_ORDERS)]
        self.post_message(Told(f"tables by {self._order}"))
        self.again()

    def action_fold(self) -> None:
        item = self.current
        parent = item and (item.parent or (item.key if item.partitions else None))
        if not parent:
            self.post_message(Told("it has no partitions"))
            return
        self._unfolded ^= {parent}
        self.draw()

    def action_measure(self) -> None:
        item = self.current
        if item is None:
            self.post_message(Told("nothing is selected", bad=True))
        else:
            self.post_message(MeasureWanted(item.schema, item.name))
