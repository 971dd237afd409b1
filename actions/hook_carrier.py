"""What every kind of hook has: what it would do, what is seen of it, and how it hands a secret on."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from console.dispatch.operator import Operator
from console.model.verifiers import Verifier
from console.secrets import Secret


class Handed(NamedTuple):
    """What is handed on. `verifier` is what the server keeps, None where nobody here knows it."""

    secret: Secret
    previous: Secret | None = None
    verifier: Verifier | None = None
    no_verifier: str = ""  # why, and what to do


class State(StrEnum):
    """What the check of a hook says. Unknown: it cannot be told without doing it."""

    DONE = "done"
    OPEN = "not done"
    UNKNOWN = "unknown"


class Seen(NamedTuple):
    state: State
    why: str = ""


class Sighted(NamedTuple):
    """What a plan tells. `missing` is why it is refused: a program that is not there."""

    line: str
    warning: str = ""
    missing: str = ""
    remedy: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one hook ended, for the ledger: without anything secret. `again`: it had been done before."""

    hook: str
    state: State
    why: str = ""
    hint: str = ""
    again: bool = False

    @property
    def text(self) -> str:
        return f"{self.hook}: {self.state}{f' ({self.why})' if self.why else ''}"


class Carrier(Protocol):
    """One hook of one account."""

    @property
    def effects(self) -> tuple[str, ...]:
        """What it does, as it is planned."""

    @property
    def once(self) -> str:
        """What is run once in a rotation, because no look tells that it was; empty where one does."""

    async def look(self) -> Sighted:
        """What is there now, for the plan; nothing secret is read."""

    async def seen(self, handed: Handed) -> Seen:
        """Its own check, which changes nothing."""

    async def carry(self, operator: Operator, handed: Handed) -> Seen:
        """Hand it on, each effect recorded first, and check. Raises a DbdeckError where it could not."""
