"""What widgets say to those above them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual.message import Message

NO_LEDGER = "the audit ledger is not open: nothing can be recorded, so nothing can be executed"


@runtime_checkable
class Asking(Protocol):
    """A screen that opens dialogs. `asking` is true from the key-press until the dialog is closed: keys
    that come before the dialog is there are meant for it, and must not be shortcuts.
    """

    asking: bool


class ActionRequested(Message):
    """A key or a palette entry asks for an action on a subject; arguments as `key=value` would give them.

    With `ask` a person completes the arguments first. `resumes` is the earlier action whose rest is meant.
    """

    def __init__(
        self, name: str, arguments: dict[str, object], *, ask: bool = False, resumes: str = ""
    ) -> None:
        super().__init__()
        self.name = name
        self.arguments = arguments
        self.ask = ask
        self.resumes = resumes


class Told(Message):
    """One line for the status bar; `bad` is drawn as trouble."""

    def __init__(self, text: str, *, bad: bool = False) -> None:
        super().__init__()
        self.text = text
        self.bad = bad


class Alarm(Message):
    """A pane calls for attention, or (with no badge) takes that back. `loud` is a new trouble."""

    def __init__(self, pane: str, badge: str, text: str = "", *, loud: bool = False) -> None:
        super().__init__()
        self.pane = pane
        self.badge = badge
        self.text = text
        self.loud = loud


class TargetWanted(Message):
    """Open another target."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class SessionWanted(Message):
    """Show a session in the lock tree."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class UnlockWanted(Message):
    """Ask for the vault's master."""


class CheckWanted(Message):
    """Look for weak passwords of the accounts, offline."""


class ReportWanted(Message):
    """Somebody wants to read the report of a drill, which lies on the machine that the drill ran on."""

    def __init__(self, path: str, sha256: str, host: str) -> None:
        super().__init__()
        self.path = path
        self.sha256 = sha256
        self.host = host


class MeasureWanted(Message):
    """Measure a table or an index exactly, after its cost was shown."""

    def __init__(self, schema: str, name: str) -> None:
        super().__init__()
        self.schema = schema
        self.name = name


class RunbookWanted(Message):
    """Somebody wants to run a runbook; `given` is what of its params is known."""

    def __init__(self, name: str, given: dict[str, object]) -> None:
        super().__init__()
        self.name = name
        self.given = given


class RunWanted(Message):
    """Show a run."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run


class LookWanted(Message):
    """Read everything that suggestions of runbooks rest on, once."""
