"""The Locks pane: the blocking tree, and the two keys that end what blocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.blocking import LockNode
from console.model.sessions import Session, State
from console.present import locks
from console.present.sessions import key as session_key
from console.present.sessions import statement
from console.present.table import Line
from console.tui.messages import ActionRequested, Told
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key

_ACTIONS = {"terminate": "session.terminate", "cancel": "session.cancel"}


class LocksPane(Pane[LockNode]):
    """Root blockers first; below each, who waits on it. `╰` waits for a lock, `┄` for its turn."""

    name_of_subject = "locks"
    title = "Locks"
    columns = locks.COLUMNS
    empty = "No session waits for a lock."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "request('terminate')", "Terminate session", id="locks.terminate"),
        Binding("c", "request('cancel')", "Cancel statement", id="locks.cancel"),
    ]

    def __init__(
        self,
        read: Callable[[], Awaitable[Sequence[LockNode]]],
        *,
        every: float,
        refusal: Callable[[str], str],
    ) -> None:
        super().__init__(read, every=every)
        self._refusal = refusal

    def lines(self, data: Sequence[LockNode]) -> list[Line]:
        return locks.lines(data)

    def key_of(self, item: LockNode) -> str:
        return session_key(item.session)

    def summary(self, data: Sequence[LockNode]) -> str:
        return locks.summary(data)

    def details(self, item: LockNode) -> str:
        pairs = [f"{label:<11} {value}" for label, value in locks.details(item)]
        return "\n".join([*pairs, f"{'statement':<11} {statement(item.session)}"])

    def document(self, data: Sequence[LockNode]) -> list[dict[str, Any]]:
        return locks.document(data)

    def keys(self) -> list[Key]:
        return [
            Key("t", "request('terminate')", "terminate", self.against("terminate")),
            Key("c", "request('cancel')", "cancel", self.against("cancel")),
        ]

    def against(self, verb: str) -> str:
        """Why the key can do nothing now; empty when it can."""
        node = self.current
        if node is None:
            return "no session is selected"
        if self.reading.stale or self.feed.late:
            return "what is shown is old: wait until the server answers again"
        return self._refusal(_ACTIONS[verb]) or _unfit(node.session, verb)

    def action_request(self, verb: str) -> None:
        why = self.against(verb)
        node = self.current
        if why or node is None:
            self.post_message(Told(f"{verb}: {why}", bad=True))
            return
        given: dict[str, object] = {"id": node.session.id, "started_at": node.session.started_at}
        self.post_message(ActionRequested(_ACTIONS[verb], given))


def _unfit(session: Session, verb: str) -> str:
    if session.prepared is not None:
        return "a prepared transaction has no session to end"
    if session.started_at is None:
        return "the session cannot be identified: its start is not visible to this login"
    if session.protection:
        return f"protected: {session.protection}"
    if verb == "cancel" and session.state is not State.ACTIVE:
        return f"no statement runs (the session is {session.state}); terminate ends it"
    return ""
