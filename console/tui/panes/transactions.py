"""The Transactions pane: what is open, for how long, and what it holds, blocks and pins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.transactions import OpenTransaction
from console.present import transactions
from console.present.table import Column, Line, led_by
from console.tui.panes.acting import ActingPane, Verb, no_cancel, no_terminate, session_arguments

Open = tuple[OpenTransaction, ...]
_TIMEOUT = "idle_in_transaction_session_timeout"


class TransactionsPane(ActingPane[Open, OpenTransaction]):
    """The oldest first."""

    name_of_subject = "transactions"
    title = "Transactions"
    columns = transactions.COLUMNS
    empty = "No transaction is open."
    verbs = {
        "terminate": Verb("t", "terminate", "session.terminate"),
        "cancel": Verb("c", "cancel", "session.cancel"),
        "idle": Verb("i", "end idle ones", "session.terminate_idle", bulk=True, ask=True),
        "resolve": Verb("x", "roll back prepared", "transaction.rollback_prepared"),
        "limit": Verb("l", "limit idle time", "setting.set", ask=True),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "request('terminate')", "Terminate session", id="transactions.terminate"),
        Binding("c,C", "request('cancel')", "Cancel statement", id="transactions.cancel"),
        Binding("i", "request('idle')", "End idle transactions", id="transactions.idle"),
        Binding("x", "request('resolve')", "Roll back the prepared transaction", id="transactions.resolve"),
        Binding("l", "request('limit')", "Limit idle transactions of its role", id="transactions.limit"),
    ]

    def __init__(
        self,
        read: Callable[[], Awaitable[Open]],
        *,
        every: float,
        refusal: Callable[[str], str],
        limits: bool,
    ) -> None:
        """`limits`: the server has a time-out for idle transactions that holds for a role."""
        super().__init__(read, every=every, refusal=refusal)
        self._limits = limits

    def has(self, name: str) -> bool:
        return name != "limit" or self._limits

    def columns_of(self, data: Open) -> Sequence[Column]:
        return led_by(self.columns, max((one.session.id for one in data), default=0))

    def items_of(self, data: Open) -> Sequence[OpenTransaction]:
        return data

    def lines(self, data: Open) -> Sequence[Line]:
        return transactions.lines(data)

    def key_of(self, item: OpenTransaction) -> str:
        return transactions.key(item)

    def summary(self, data: Open) -> str:
        return transactions.summary(data)

    def details(self, item: OpenTransaction) -> str:
        return "\n".join(f"{label:<11} {value}" for label, value in transactions.details(item))

    def document(self, data: Open) -> dict[str, Any]:
        return {"rows": transactions.document(data)}

    def here(self, item: OpenTransaction) -> dict[str, Any]:
        return transactions.document([item])[0]

    def unfit(self, item: OpenTransaction, name: str) -> str:
        if name == "limit":
            return ""
        if name == "resolve":
            return "" if item.session.prepared else "only a prepared transaction is rolled back by its name"
        return no_cancel(item.session) if name == "cancel" else no_terminate(item.session)

    def arguments(self, item: OpenTransaction | None, name: str) -> dict[str, object]:
        if name == "idle":
            return {"older_than": "10m"}
        if item is None:
            return {}
        if name == "resolve":
            return {"gid": item.session.prepared}
        if name == "limit":
            return {"name": _TIMEOUT, "value": "10min", "role": item.session.user or ""}
        return session_arguments(item.session)
