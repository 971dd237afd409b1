"""The Effects view: what recorded looks at this target found that no action declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from console.audit.effects import Told
from console.present import effects
from console.present.table import Line
from console.tui.panes.pane import Pane


class EffectsPane(Pane[Sequence[Told], effects.Item]):
    """Read from the ledger: `dbdeck audit compare` looks anew."""

    name_of_subject = "effects"
    of_server = False
    title = "Effects"
    columns = effects.COLUMNS

    def __init__(self, read: Callable[[], Awaitable[Sequence[Told]]], *, every: float, target: str) -> None:
        super().__init__(read, every=every)
        self.empty = effects.empty(target)

    def items_of(self, data: Sequence[Told]) -> Sequence[effects.Item]:
        return effects.items(data)

    def lines(self, data: Sequence[Told]) -> list[Line]:
        return effects.item_lines(effects.items(data))

    def key_of(self, item: effects.Item) -> str:
        return item.key

    def summary(self, data: Sequence[Told]) -> str:
        return effects.summary(effects.items(data))

    def details(self, item: effects.Item) -> str:
        return "\n".join(effects.item_details(item))

    def document(self, data: Sequence[Told]) -> dict[str, Any]:
        return {"rows": effects.item_rows(effects.items(data))}
