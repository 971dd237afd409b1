"""The Progress view: long work, how far it is, when it will be done, and whom it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.progress import Progress, ProgressReport
from console.present import progress
from console.present.table import Column, Line, led_by
from console.tui.messages import SessionWanted, Told
from console.tui.panes.acting import ActingPane, Verb
from console.tui.widgets.bars import Key


class ProgressPane(ActingPane[ProgressReport, Progress]):
    """Rates need two looks: the first ETA comes with the second refresh."""

    name_of_subject = "progress"
    title = "Progress"
    columns = progress.COLUMNS
    empty = "Nothing reports progress now."
    verbs = {"cancel": Verb("c", "cancel", "session.cancel")}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c,C", "request('cancel')", "Cancel the work", id="progress.cancel"),
        Binding("f", "go", "Follow to whom it waits for", id="progress.go"),
    ]

    def columns_of(self, data: ProgressReport) -> Sequence[Column]:
        return led_by(self.columns, max((one.session for one in data.work), default=0))

    def items_of(self, data: ProgressReport) -> Sequence[Progress]:
        return data.work

    def lines(self, data: ProgressReport) -> list[Line]:
        return progress.lines(data)

    def key_of(self, item: Progress) -> str:
        return item.key

    def summary(self, data: ProgressReport) -> str:
        return progress.summary(data)

    def note(self, data: ProgressReport) -> str:
        return data.notes[0] if data.notes else ""

    def details(self, item: Progress) -> str:
        data = self.reading.data
        pairs = progress.details(data, item) if data is not None else []
        return "\n".join(f"{label:<11} {value}" for label, value in pairs)

    def document(self, data: ProgressReport) -> dict[str, Any]:
        return {"rows": progress.document(data), **progress.beside(data)}

    def unfit(self, item: Progress, name: str) -> str:  # noqa: ARG002 - there is one verb
        if item.wraparound:
            return "it protects the server from running out of transaction numbers"
        return "" if item.started_at else "the session's start is not visible to this login"

    def arguments(self, item: Progress | None, name: str) -> dict[str, object]:  # noqa: ARG002 - as above
        return {} if item is None else {"id": item.session, "started_at": item.started_at}

    def keys(self) -> list[Key]:
        item = self.current
        why = "" if item is not None and item.waits_for else "it waits for nobody"
        return [*super().keys(), Key("f", "go", "follow whom it waits for", why, "follow")]

    def action_go(self) -> None:
        """To the sessions it waits for, in the lock tree."""
        item = self.current
        if item is None:
            self.post_message(Told("follow: nothing is selected", bad=True))
        elif not item.waits_for:
            self.post_message(Told(f"session {item.session} waits for nobody"))
        else:
            self.post_message(SessionWanted(item.waits_for[0]))
