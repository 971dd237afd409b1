"""The Deadlocks view: what the server resolved by itself, how often, and in which lock order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console.model.deadlocks import Deadlock, DeadlockHistory
from console.present import deadlocks
from console.present.table import Line
from console.tui.messages import Alarm
from console.tui.panes.pane import Pane


class DeadlocksPane(Pane[DeadlockHistory, Deadlock]):
    """Newest first; below, the cycle of the one under the cursor."""

    name_of_subject = "deadlocks"
    title = "Deadlocks"
    columns = deadlocks.COLUMNS
    empty = "No deadlock is known."
    keeps_watch = True
    unseen_seconds = 10.0
    _seen: DeadlockHistory | None = None

    def items_of(self, data: DeadlockHistory) -> Sequence[Deadlock]:
        return data.deadlocks

    def lines(self, data: DeadlockHistory) -> list[Line]:
        return deadlocks.lines(data)

    def key_of(self, item: Deadlock) -> str:
        return item.ident

    def summary(self, data: DeadlockHistory) -> str:
        return deadlocks.summary(data)

    def note(self, data: DeadlockHistory) -> str:
        return deadlocks.first_note(data)

    def details(self, item: Deadlock) -> str:
        history = self.reading.data
        return "\n".join(deadlocks.details(history, item)) if history is not None else ""

    def document(self, data: DeadlockHistory) -> dict[str, Any]:
        return {"rows": deadlocks.document(data), **deadlocks.beside(data)}

    def on_pane_read(self) -> None:
        """Call when one happened while we looked on; those of before are history."""
        now, before = self.reading.data, self._seen
        if now is None or self.reading.stale:
            return
        new = now.happened - before.happened if before is not None else 0
        if new > 0:
            text = deadlocks.alarm(now, new)
            self.post_message(Alarm(self.name_of_subject, f"(+{new})", text, loud=True))
        self._seen = now if before is None or new > 0 else before

    def forget(self) -> None:
        self._seen = None  # another server counts from elsewhere
        super().forget()

    def start(self) -> None:
        super().start()
        self.post_message(Alarm(self.name_of_subject, ""))
