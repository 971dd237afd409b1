"""The Runs view: the newest runs of the ledger, on all targets; those that have not ended first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from textual.message import Message

from console.present import runs
from console.present.table import Line
from console.runbook.history import Recalled
from console.tui.messages import RunWanted
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key


class RunsPane(Pane[Sequence[Recalled], Recalled]):
    """Enter opens one: live where it runs here, followed where somebody else runs it."""

    name_of_subject = "runs"
    title = "Runs"
    columns = runs.COLUMNS
    empty = "No runbook was run yet."
    of_server = False

    def __init__(
        self,
        read: Callable[[], Awaitable[Sequence[Recalled]]],
        *,
        every: float,
        live: Callable[[], Mapping[str, str]],
    ) -> None:
        """`live` says of the runs of this console what they are at."""
        super().__init__(read, every=every)
        self._live = live

    def items_of(self, data: Sequence[Recalled]) -> Sequence[Recalled]:
        return runs.newest(data)

    def lines(self, data: Sequence[Recalled]) -> list[Line]:
        return runs.lines(self.items_of(data), self._live(), datetime.now(UTC))

    def key_of(self, item: Recalled) -> str:
        return item.run.started.run

    def summary(self, data: Sequence[Recalled]) -> str:
        return runs.summary(data)

    def details(self, item: Recalled) -> str:
        return "\n".join(f"{label:<10} {value}" for label, value in runs.details(item))

    def document(self, data: Sequence[Recalled]) -> dict[str, Any]:
        return {"rows": runs.rows(data)}

    def keys(self) -> list[Key]:
        against = "" if self.current is not None else "nothing is selected"
        return [Key("Enter", "open", "open", against, rank=0)]

    def opened(self, item: Recalled) -> Message:
        return RunWanted(item.run.started.run)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.opened(self.current))
