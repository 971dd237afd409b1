"""The Drills and Trends views: what restore drills found, and how fast, over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.backup_board import DrillBoard
from console.model.drill_history import DrillRecord, SourceState
from console.present import drills
from console.present.table import Line
from console.tui.messages import ReportWanted, Told
from console.tui.panes.acting import ActingPane, Verb
from console.tui.widgets.bars import Key

_VERBS = {
    "drill": Verb("d", "drill its newest", "backup.drill", short="drill"),
    "overdue": Verb("o", "drill what is overdue", "backup.drill", bulk=True, short="overdue"),
}


class DrillsPane(ActingPane[DrillBoard, DrillRecord]):
    """The newest first."""

    name_of_subject = "drills"
    title = "Drills"
    columns = drills.COLUMNS
    empty = "No drill is in the ledger."
    of_server = False
    verbs = _VERBS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "request('drill')", "Drill the newest backup of its source", id="drills.drill"),
        Binding("o", "request('overdue')", "Drill every source that is overdue", id="drills.overdue"),
        Binding("v", "report", "View the report", id="drills.report"),
    ]

    def items_of(self, data: DrillBoard) -> Sequence[DrillRecord]:
        return data.drills

    def lines(self, data: DrillBoard) -> list[Line]:
        return drills.lines(data)

    def key_of(self, item: DrillRecord) -> str:
        return item.id

    def summary(self, data: DrillBoard) -> str:
        return drills.summary(data)

    def note(self, data: DrillBoard) -> str:
        return next(iter(drills.notes(data)), "")

    def details(self, item: DrillRecord) -> str:
        return "\n".join(f"{label:<9} {value}" for label, value in drills.details(item))

    def document(self, data: DrillBoard) -> dict[str, Any]:
        return {"rows": drills.document(data), **drills.beside(data)}

    def keys(self) -> list[Key]:
        against = "" if self.current is not None and self.current.report else "there is no report"
        return [*super().keys(), Key("v", "report", "view the report", against, short="view", rank=1)]

    def unfit(self, item: DrillRecord, name: str) -> str:  # noqa: ARG002 - every source can be tried
        return ""

    def arguments(self, item: DrillRecord | None, name: str) -> dict[str, object]:
        if name == "overdue":
            return {"overdue": "true"}
        return {} if item is None else {"source": item.source}

    def action_report(self) -> None:
        item = self.current
        if item is None or not item.report:
            self.post_message(Told("report: there is none", bad=True))
        else:
            self.post_message(ReportWanted(item.report, item.sha256, item.host))


class TrendsPane(ActingPane[DrillBoard, SourceState]):
    """A line a source, the most overdue first."""

    name_of_subject = "trends"
    title = "Trends"
    columns = drills.TRENDS
    empty = "No source of backups is configured."
    of_server = False
    verbs = _VERBS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "request('drill')", "Drill the newest backup of the source", id="trends.drill"),
        Binding("o", "request('overdue')", "Drill every source that is overdue", id="trends.overdue"),
    ]

    def items_of(self, data: DrillBoard) -> Sequence[SourceState]:
        return data.states

    def lines(self, data: DrillBoard) -> list[Line]:
        return drills.trend_lines(data)

    def key_of(self, item: SourceState) -> str:
        return item.source

    def summary(self, data: DrillBoard) -> str:
        return drills.summary(data)

    def note(self, data: DrillBoard) -> str:
        return next(iter(drills.notes(data)), "")

    def details(self, item: SourceState) -> str:
        known = self.reading.data.drills if self.reading.data else ()
        return "\n".join(f"{label:<9} {value}" for label, value in drills.trend_details(item, known))

    def document(self, data: DrillBoard) -> dict[str, Any]:
        return {"rows": drills.trend_document(data), **drills.beside(data)}

    def unfit(self, item: SourceState, name: str) -> str:  # noqa: ARG002 - every source can be tried
        return ""

    def arguments(self, item: SourceState | None, name: str) -> dict[str, object]:
        if name == "overdue":
            return {"overdue": "true"}
        return {} if item is None else {"source": item.source}
