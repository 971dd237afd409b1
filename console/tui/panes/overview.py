"""The Overview: every target in a line, the worst first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual.message import Message

from console.model.overview import Standing
from console.present import overview
from console.present.table import Column, Line
from console.tui.messages import TargetWanted
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key

_UNSEEN_SECONDS = 30.0
_ROOMY = 180


class OverviewPane(Pane[Sequence[Standing], Standing]):
    """Enter leads to the Locks of a target. Once it was opened it is polled slowly while it is not seen: the
    last minutes are known then.
    """

    name_of_subject = "overview"
    title = "Overview"
    empty = overview.EMPTY
    of_server = False
    unseen_seconds = _UNSEEN_SECONDS

    def __init__(self, read: Callable[[], Awaitable[Sequence[Standing]]], *, every: float) -> None:
        super().__init__(read, every=every)

    def items_of(self, data: Sequence[Standing]) -> Sequence[Standing]:
        return data

    def lines(self, data: Sequence[Standing]) -> list[Line]:
        return overview.lines(data, self._spark)

    def columns_of(self, data: Sequence[Standing]) -> Sequence[Column]:  # noqa: ARG002 - the same for all
        return overview.columns(self._spark)

    @property
    def _spark(self) -> int:
        return 2 * overview.SPARK if self.size.width >= _ROOMY else overview.SPARK

    def key_of(self, item: Standing) -> str:
        return item.name

    def summary(self, data: Sequence[Standing]) -> str:
        return overview.summary(data)

    def details(self, item: Standing) -> str:
        return "\n".join(f"{label:<12} {value}" for label, value in overview.details(item))

    def document(self, data: Sequence[Standing]) -> dict[str, Any]:
        return {"rows": overview.document(data)}

    def keys(self) -> list[Key]:
        return [Key("Enter", "select", "its locks")]

    def opened(self, item: Standing) -> Message | None:
        return TargetWanted(item.name)

    def action_select(self) -> None:
        self.grid.action_select()
