"""Weak, default and shared passwords of a server's accounts, looked for offline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from console.engine.account_check import check
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.accounts import Accounts
from console.model.drift import Drifts
from console.model.guessing import SECONDS
from console.model.rotation import Rule
from console.present import account_check as words
from console.tui.hints import hint


class AccountCheckScreen(ModalScreen[None]):
    """Begins at once: it only reads. Leaving ends it."""

    DEFAULT_CSS = """
    AccountCheckScreen { align: center middle; }
    AccountCheckScreen > VerticalScroll { width: 96%; height: auto; max-height: 94%;
                                          border: thick $primary; background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="account-check.close"),
    ]

    def __init__(self, engine: Engine, rule: Rule, look: Callable[[Accounts], Awaitable[Drifts]]) -> None:
        """`look` compares passwords with what our rotations set."""
        super().__init__()
        self._look = look
        self._engine = engine
        self._rule = rule

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "check of accounts"
            waiting = f"trying guesses offline, {SECONDS:g} s at most; nobody logs in. "
            waiting += hint(self, "{account-check.close} ends it")
            yield Static(waiting, id="account-check", markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._check()

    @work(exclusive=True)
    async def _check(self) -> None:
        try:
            said = words.text(await check(self._engine, self._rule, look=self._look))
        except DbdeckError as error:
            said = f"nothing was checked: {error.message}\n{error.hint}"
        self.query_one("#account-check", Static).update(said)

    def action_leave(self) -> None:
        self.dismiss(None)
