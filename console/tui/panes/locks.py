"""The Locks pane: the blocking tree, and the keys that end what blocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.blocking import BlockingTree, LockNode
from console.model.locks import WaitGraph
from console.model.whatif import Jam, jams
from console.present import locks
from console.present.sessions import key as session_key
from console.present.sessions import statement
from console.present.table import Column, Line, led_by
from console.tui.messages import Alarm
from console.tui.panes.acting import ActingPane, Verb, no_cancel, no_terminate, session_arguments


class LocksPane(ActingPane[BlockingTree, LockNode]):
    """Root blockers first; below each, who waits on it. `╰` waits for a lock, `┄` for its turn."""

    name_of_subject = "locks"
    title = "Locks"
    columns = locks.COLUMNS
    empty = "No session waits for a lock."
    keeps_watch = True
    verbs = {
        "terminate": Verb("t", "terminate", "session.terminate"),
        "cancel": Verb("c", "cancel", "session.cancel"),
        "break": Verb("b", "break chain", "chain.break"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "request('terminate')", "Terminate session", id="locks.terminate"),
        Binding("c,C", "request('cancel')", "Cancel statement", id="locks.cancel"),
        Binding("b", "request('break')", "Break the chain at the least cost", id="locks.break"),
    ]

    def __init__(
        self,
        read: Callable[[], Awaitable[BlockingTree]],
        *,
        every: float,
        refusal: Callable[[str], str],
        storm: int,
    ) -> None:
        super().__init__(read, every=every, refusal=refusal)
        self._storm = storm
        self._alarm = ""
        self._jams: tuple[WaitGraph, tuple[Jam, ...]] = BlockingTree().graph, ()

    def columns_of(self, data: BlockingTree) -> Sequence[Column]:
        return led_by(self.columns, max((node.session.id for node in data), default=0), locks.BESIDE)

    def items_of(self, data: BlockingTree) -> Sequence[LockNode]:
        return data

    def lines(self, data: BlockingTree) -> Sequence[Line]:
        return locks.lines(data)

    def key_of(self, item: LockNode) -> str:
        return session_key(item.session)

    def summary(self, data: BlockingTree) -> str:
        return locks.summary(data)

    def note(self, data: BlockingTree) -> str:
        """Who holds whom up is worked out once for each shape of the queues."""
        shape, found = self._jams
        if data.graph is not shape and data.graph != shape:
            found = jams(data)
            self._jams = data.graph, found
        return locks.jam(data, found) or locks.unconfirmed(data)

    def details(self, item: LockNode) -> str:
        tree = self.reading.data
        pairs = [f"{label:<11} {value}" for label, value in locks.details(item, tree)]
        return "\n".join([*pairs, f"{'statement':<11} {statement(item.session)}"])

    def document(self, data: BlockingTree) -> dict[str, Any]:
        return {"rows": locks.document(data)}

    def here(self, item: LockNode) -> dict[str, Any]:
        return locks.document([item])[0]

    def unfit(self, item: LockNode, name: str) -> str:
        if name == "break":
            return "" if self._root(item).session.key else "its root blocker cannot be identified"
        return no_cancel(item.session) if name == "cancel" else no_terminate(item.session)

    def arguments(self, item: LockNode | None, name: str) -> dict[str, object]:
        if item is None:
            return {}
        if name != "break":
            return session_arguments(item.session)
        root = self._root(item).session
        return {"root": root.id, "started_at": root.started_at}

    def _root(self, item: LockNode) -> LockNode:
        """Where its part of the tree begins: the last line of depth 0 before it."""
        root = item
        for node in self.reading.data or ():
            root = node if node.depth == 0 else root
            if node is item:
                return root
        return item

    def on_pane_read(self) -> None:
        """Call once when the queues grow to a storm, and take it back when they are short again."""
        tree = self.reading.data
        if tree is None or self.reading.stale:
            return
        alarm = locks.storm(tree, self._storm)
        if bool(alarm) != bool(self._alarm) or (alarm and alarm != self._alarm):
            badge = f"({sum(1 for node in tree if node.edge)})" if alarm else ""
            self.post_message(Alarm(self.name_of_subject, badge, alarm, loud=not self._alarm))
        self._alarm = alarm
