"""The Accounts pane: who may log in, with what rights, how old the password is, who depends on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.accounts import Account, Accounts, label
from console.present import accounts
from console.present.table import Column, Line
from console.tui.messages import CheckWanted
from console.tui.panes.acting import ActingPane, Verb
from console.tui.widgets.bars import Key


class AccountsPane(ActingPane[Accounts, Account]):
    """The most dangerous first, all hosts of a user side by side."""

    name_of_subject = "accounts"
    title = "Accounts"
    columns = accounts.COLUMNS
    empty = "No account is known."
    verbs = {
        "rotate": Verb("n", "rotate", "credential.rotate"),
        "retire": Verb("x", "retire", "credential.retire"),
        "lock": Verb("l", "lock", "credential.lock"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "request('rotate')", "New password for the account", id="accounts.rotate"),
        Binding("x", "request('retire')", "Retire its old password", id="accounts.retire"),
        Binding("l", "request('lock')", "Lock or unlock the account", id="accounts.lock"),
        Binding("c", "check", "Try weak passwords offline", id="accounts.check"),
    ]

    def __init__(
        self,
        read: Callable[[], Awaitable[Accounts]],
        *,
        every: float,
        refusal: Callable[[str], str],
        renew: Callable[[], None],
    ) -> None:
        """`renew`: the next reading compares passwords with our rotations again; no poll does."""
        super().__init__(read, every=every, refusal=refusal)
        self._renew = renew

    def start(self) -> None:
        self._renew()
        super().start()

    def again(self) -> None:
        self._renew()
        super().again()

    def columns_of(self, data: Accounts) -> Sequence[Column]:
        return accounts.columns(data)

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
        item = self.current
        word = "unlock" if item is not None and _is_locked(item) else "lock"
        verbs = super().keys()
        acting = [key._replace(label=word) if key.label == "lock" else key for key in verbs]
        return [*acting, Key("c", "check", "check passwords", short="check", rank=2)]

    def unfit(self, item: Account, name: str) -> str:
        if item.system:
            return "it belongs to the server itself"
        if name == "lock":
            return "nobody logs in as a role" if item.role and item.host is not None else ""
        if not item.name:
            return "an anonymous account has no password to keep: lock it, or drop it"
        if item.role:
            return "nobody logs in as it"
        if name == "rotate" and item.external:
            return "somebody else than the server checks who it is: there is no password here"
        return ""

    def arguments(self, item: Account | None, name: str) -> dict[str, object]:
        """A password is that of all rows of a user; a row of MySQL is locked by itself."""
        if item is None:
            return {}
        if name != "lock":
            return {"account": item.name}
        given: dict[str, object] = {"account": label(item.name, item.host)}
        return given | ({"unlock": "true"} if _is_locked(item) else {})

    def action_check(self) -> None:
        self.post_message(CheckWanted())


def _is_locked(item: Account) -> bool:
    """NOLOGIN, or ACCOUNT LOCK. A PostgreSQL role that never logged in looks the same."""
    return not item.may_login and not (item.role and item.host is not None)
