"""The Indexes view: what is wrong with indexes and constraints, and what mends each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.dispatch.registry import words
from console.errors import UsageError
from console.model.indexes import Finding, IndexFinding, IndexHealth
from console.present import indexes
from console.present.names import shown
from console.present.table import Line
from console.tui.messages import MeasureWanted, Told
from console.tui.panes.acting import ActingPane, Verb
from console.tui.widgets.bars import Key

_DROPPED = (Finding.INVALID, Finding.LEFTOVER_NEW, Finding.LEFTOVER_OLD)


class IndexesPane(ActingPane[IndexHealth, IndexFinding]):
    """The worst first."""

    name_of_subject = "indexes"
    title = "Indexes"
    columns = indexes.COLUMNS
    empty = "Nothing is wrong with any index."
    verbs = {
        "mend": Verb("x", "mend it", "index.reindex", ask=True, short="mend"),
        "reindex": Verb("i", "reindex", "index.reindex", ask=True),
        "drop": Verb("d", "drop invalid", "index.drop_invalid", short="drop"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "request('mend')", "Mend the finding", id="indexes.mend"),
        Binding("i", "request('reindex')", "Rebuild the index", id="indexes.reindex"),
        Binding("d", "request('drop')", "Drop the invalid index", id="indexes.drop"),
        Binding("m", "measure", "Measure bloat exactly", id="indexes.measure"),
    ]

    def __init__(
        self,
        read: Callable[[], Awaitable[IndexHealth]],
        *,
        every: float,
        refusal: Callable[[str], str],
        apart: bool,
    ) -> None:
        """`apart`: the server can rebuild, drop as invalid and look into one index by itself (PostgreSQL)."""
        super().__init__(read, every=every, refusal=refusal)
        self._apart = apart

    def has(self, name: str) -> bool:
        return self._apart or name == "mend"

    def offers(self, action: str) -> bool:
        return super().offers(action) and (action != "measure" or self._apart)

    def items_of(self, data: IndexHealth) -> Sequence[IndexFinding]:
        return data.findings

    def lines(self, data: IndexHealth) -> list[Line]:
        return indexes.lines(data)

    def key_of(self, item: IndexFinding) -> str:
        return item.key

    def summary(self, data: IndexHealth) -> str:
        return indexes.summary(data)

    def note(self, data: IndexHealth) -> str:
        return data.notes[0] if data.notes else ""

    def details(self, item: IndexFinding) -> str:
        data = self.reading.data
        pairs = indexes.details(data, item) if data is not None else []
        return "\n".join(f"{label:<11} {value}" for label, value in pairs)

    def document(self, data: IndexHealth) -> dict[str, Any]:
        return {"rows": indexes.document(data), **indexes.beside(data)}

    def action_of(self, item: IndexFinding | None, name: str) -> str:
        """The remedy says which action, and with what."""
        if name == "mend" and item is not None:
            return item.action
        return self.verbs[name].action

    def unfit(self, item: IndexFinding, name: str) -> str:
        if name == "mend":
            return "" if item.action else f"no action does this: {item.remedy}"
        if name == "drop":
            return "" if item.finding in _DROPPED else "only an invalid index is dropped here"
        return "" if item.number and item.name else "this finding has no index to rebuild"

    def arguments(self, item: IndexFinding | None, name: str) -> dict[str, object]:
        if item is None:
            return {}
        if name == "mend":
            try:
                return words(item.remedy.partition(" ")[2])
            except UsageError:
                return {}
        return {"index": shown(item.schema, item.name)}

    def keys(self) -> list[Key]:
        if not self._apart:
            return super().keys()
        item = self.current
        why = "" if item is not None and item.name and item.number else "nothing here can be measured"
        return [*super().keys(), Key("m", "measure", "measure", why)]

    def action_measure(self) -> None:
        item = self.current
        if not self._apart:
            self.post_message(Told("measure: this engine has nothing like it", bad=True))
        elif item is None or not item.name:
            self.post_message(Told("nothing here can be measured", bad=True))
        else:
            self.post_message(MeasureWanted(item.schema, item.name))
