"""The Runbooks view: the library, found by symptom, with what is seen now suggests first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.present import runbooks
from console.present.runbooks import Entry, Shelf
from console.present.table import Line
from console.tui.messages import LookWanted, RunbookWanted, Told
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key


class RunbooksPane(Pane[Shelf, Entry]):
    """Those that do not fit this server are shown, and say why."""

    name_of_subject = "runbooks"
    title = "Runbooks"
    columns = runbooks.COLUMNS
    empty = "There is no runbook."
    of_server = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start the runbook: first its params, then its plan", id="runbooks.start"),
        Binding("l", "look", "Look at all that suggestions rest on", id="runbooks.look"),
    ]

    def __init__(
        self, read: Callable[[], Awaitable[Shelf]], *, every: float, refusal: Callable[[], str]
    ) -> None:
        super().__init__(read, every=every)
        self._refusal = refusal

    def items_of(self, data: Shelf) -> Sequence[Entry]:
        return data.entries

    def lines(self, data: Shelf) -> list[Line]:
        return runbooks.lines(data)

    def key_of(self, item: Entry) -> str:
        return item.id

    def fits(self, line: Line, needle: str) -> bool:
        return runbooks.found(self.items[line.key], needle)

    def summary(self, data: Shelf) -> str:
        return runbooks.summary(data)

    def note(self, data: Shelf) -> str:
        return runbooks.note(data)

    def details(self, item: Entry) -> str:
        data = self.reading.data
        pairs = runbooks.details(item, data.now) if data is not None else []
        return "\n".join(f"{label:<10} {value}" for label, value in pairs)

    def document(self, data: Shelf) -> dict[str, Any]:
        return {"rows": runbooks.documents(data)}

    def keys(self) -> list[Key]:
        return [
            Key("s", "start", "start", self.against(), rank=0),
            Key("l", "look", "look for suggestions", short="look", rank=1),
        ]

    def against(self) -> str:
        item = self.current
        if item is None:
            return "nothing is selected"
        return item.unfit or self._refusal()

    def action_start(self) -> None:
        why, item = self.against(), self.current
        if why or item is None:
            self.post_message(Told(f"start: {why}", bad=True))
            return
        given = item.suggested.given if item.suggested is not None else {}
        self.post_message(RunbookWanted(item.id, given))

    def action_look(self) -> None:
        self.post_message(LookWanted())
