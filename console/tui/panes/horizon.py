"""The Horizon view: who keeps vacuum or purge from cleaning, and how to end it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.horizon import Holder, HolderKind, Horizon
from console.present import horizon
from console.present.table import Line
from console.tui.messages import TargetWanted, Told
from console.tui.panes.acting import ActingPane, Verb, no_terminate, session_arguments

_ACTIONS = {
    HolderKind.PREPARED: "transaction.rollback_prepared",
    HolderKind.SLOT: "slot.drop",
}


class HorizonPane(ActingPane[Horizon, Holder]):
    """The oldest holder first: it is the one that counts."""

    name_of_subject = "horizon"
    title = "Horizon"
    columns = horizon.COLUMNS
    empty = "Nothing holds cleanup back."
    verbs = {"end": Verb("x", "end the holder", "session.terminate")}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "request('end')", "End what holds the horizon", id="horizon.end"),
        Binding("f", "go", "Follow to the standby", id="horizon.go"),
    ]

    def items_of(self, data: Horizon) -> Sequence[Holder]:
        return data.holders

    def lines(self, data: Horizon) -> list[Line]:
        return horizon.lines(data)

    def key_of(self, item: Holder) -> str:
        return item.key

    def summary(self, data: Horizon) -> str:
        return horizon.summary(data)

    def note(self, data: Horizon) -> str:
        return data.notes[0] if data.notes else ""

    def details(self, item: Holder) -> str:
        data = self.reading.data
        pairs = horizon.details(data, item) if data is not None else []
        return "\n".join(f"{label:<11} {value}" for label, value in pairs)

    def document(self, data: Horizon) -> dict[str, Any]:
        return {"rows": horizon.document(data), **horizon.beside(data)}

    def here(self, item: Holder) -> dict[str, Any]:
        return horizon.document(Horizon(holders=(item,)))[0]

    def action_of(self, item: Holder | None, name: str) -> str:
        return _ACTIONS.get(item.kind, self.verbs[name].action) if item else self.verbs[name].action

    def unfit(self, item: Holder, name: str) -> str:  # noqa: ARG002 - there is one verb
        if item.kind in _ACTIONS:
            return ""
        if item.session is None or item.kind is HolderKind.STANDBY:
            return item.remedy or "nothing here can end it"
        return no_terminate(item.session)

    def arguments(self, item: Holder | None, name: str) -> dict[str, object]:  # noqa: ARG002 - as above
        if item is None:
            return {}
        if item.kind is HolderKind.PREPARED:
            return {"gid": item.name}
        if item.kind is HolderKind.SLOT:
            return {"name": item.name}
        return session_arguments(item.session) if item.session else {}

    def action_go(self) -> None:
        """To the standby whose queries hold the horizon here, where it is a target of the config."""
        item = self.current
        if item is None or not item.address:
            self.post_message(Told("go: no standby is behind this holder", bad=True))
            return
        self.post_message(TargetWanted(item.address))
