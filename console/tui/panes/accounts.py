"""The Accounts pane: who may log in, with what rights, how old the password is, who depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.accounts import Account, Accounts, label
from console.present import accounts
from console.present.table import Line
from console.tui.messages import CheckWanted
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key


class AccountsPane(Pane[Accounts, Account]):
    """The most dangerous first, all hosts of a user side by side."""

    name_of_subject = "accounts"
    title = "Accounts"
    columns = accounts.COLUMNS
    empty = "No account is known."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "check", "Try weak passwords offline", id="accounts.check"),
    ]

    def items_of(self, data: Accounts) -> Sequence[Account]:
        return data.accounts

    def lines(self, data: Accounts) -> list[Line]:
        return accounts.lines(data)

    def key_of(self, item: Account) -> str:
        return label(item.name, item.host)

    def summary(self, data: Accounts) -> str:
        return accounts.summary(data)

    def note(self, data: Accounts) -> str:
        return next(iter(accounts.notes(data)), "")

    def details(self, item: Account) -> str:
        return "\n".join(f"{word:<9} {value}" for word, value in accounts.details(item))

    def document(self, data: Accounts) -> dict[str, Any]:
        return {"rows": accounts.document(data), **accounts.beside(data)}

    def keys(self) -> list[Key]:
        return [Key("c", "check", "check passwords")]

    def action_check(self) -> None:
        self.post_message(CheckWanted())
