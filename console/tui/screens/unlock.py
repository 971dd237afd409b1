"""The vault's master, asked for in a dialog; a wrong one is said, and asked for again."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.errors import DbdeckError
from console.present.units import clean
from console.secrets import Secret
from console.tui.hints import hint
from console.vault.store import Vault

UNREACHABLE = "Enter unlocks; {unlock.leave} goes on without: targets that need it stay unreachable"


class HiddenInput(Input):
    """Never copied: the terminal's clipboard is a place that others read."""

    def __init__(self, name: str) -> None:
        super().__init__(password=True, id=name)
        self.cursor_blink = False

    def action_copy(self) -> None:
        return

    def action_cut(self) -> None:
        return

    def taken(self) -> Secret:
        """What was typed; nothing of it stays here."""
        found = Secret(self.value)
        self.clear()
        return found


class UnlockScreen(ModalScreen[bool]):
    """Dismissed with whether the vault is unlocked. With Esc, what needs it stays unreachable."""

    DEFAULT_CSS = """
    UnlockScreen { align: center middle; }
    UnlockScreen > Vertical { width: 76; max-width: 96%; height: auto;
                              border: thick $primary; background: $surface; padding: 0 1; }
    UnlockScreen Input, UnlockScreen Input:focus {
        border: none; height: 1; background: $panel; padding: 0 1; margin-top: 1;
    }
    UnlockScreen #wrong { height: auto; color: $text-error; }
    UnlockScreen .foot { color: $foreground-muted; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Go on without", id="unlock.leave"),
    ]

    def __init__(self, vault: Vault, why: str = "", *, foot: str = UNREACHABLE) -> None:
        super().__init__()
        self._foot = foot
        self._vault = vault
        self._why = why

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "the vault is locked"
            yield Static(f"Its master opens the passwords in {self._vault.path}.", markup=False)
            yield HiddenInput("master")
            yield Static(self._why, id="wrong", markup=False)
            yield Static(hint(self, self._foot), classes="foot", markup=False)

    def on_mount(self) -> None:
        self.query_one(HiddenInput).focus()

    def on_input_submitted(self) -> None:
        entry = self.query_one(HiddenInput)
        entry.disabled = True
        self.query_one("#wrong", Static).update("looking …")
        self._try(entry.taken())

    @work(exclusive=True)
    async def _try(self, master: Secret) -> None:
        try:
            await asyncio.to_thread(self._vault.unlock, master)
        except DbdeckError as error:
            entry = self.query_one(HiddenInput)
            entry.disabled = False
            entry.focus()
            self.query_one("#wrong", Static).update(clean(error.message))
        else:
            self.dismiss(True)

    def action_leave(self) -> None:
        self.dismiss(False)
