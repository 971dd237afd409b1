"""Panes whose lines actions work on: the keys, and why one of them can do nothing now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from console.model.sessions import Session, State
from console.tui.messages import NO_LEDGER, ActionRequested, Asking, Told
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key

D = TypeVar("D")
T = TypeVar("T")


class Verb(NamedTuple):
    """A key of a pane and the action it plans. `bulk` ones need no line; `ask` lets arguments be changed.
    `short` and `rank` are those of its place in the key line.
    """

    key: str
    label: str
    action: str
    bulk: bool = False
    ask: bool = False
    short: str = ""
    rank: int = 1


class ActingPane(Pane[D, T]):
    """`verbs` by name; a subject says on what a verb works and what stands against it."""

    verbs: dict[str, Verb] = {}

    def __init__(
        self, read: Callable[[], Awaitable[D]], *, every: float, refusal: Callable[[str], str]
    ) -> None:
        super().__init__(read, every=every)
        self._refusal = refusal

    def unfit(self, item: T, name: str) -> str:
        """Why this verb cannot work on this item; empty when it can."""
        raise NotImplementedError

    def arguments(self, item: T | None, name: str) -> dict[str, object]:
        """The arguments of the verb's action for this item."""
        raise NotImplementedError

    def action_of(self, item: T | None, name: str) -> str:  # noqa: ARG002 - most verbs are one action
        return self.verbs[name].action

    def resumes(self, item: T | None, name: str) -> str:  # noqa: ARG002 - most verbs begin something
        """The earlier action whose rest this is; empty where it is none."""
        return ""

    def has(self, name: str) -> bool:  # noqa: ARG002 - most verbs are for every engine
        """Whether this engine has what the verb does; else its key is not shown."""
        return True

    def offers(self, action: str) -> bool:
        """`action` as a binding has it."""
        name = action.removeprefix("request('").removesuffix("')")
        return name not in self.verbs or self.has(name)

    def keys(self) -> list[Key]:
        return [
            Key(verb.key, f"request('{name}')", verb.label, self.against(name), verb.short, verb.rank)
            for name, verb in self.verbs.items()
            if self.has(name)
        ]

    def against(self, name: str) -> str:
        """Why the key can do nothing now; empty when it can."""
        verb, item = self.verbs[name], self.current
        if not self.has(name):
            return "this engine has nothing like it"
        if item is None and not verb.bulk:
            return "nothing is selected"
        if self.reading.stale or self.feed.late or self.outdated:
            return "what is shown is old: wait until the server answers again"
        why = "" if item is None or verb.bulk else self.unfit(item, name)
        return why or self._refusal(self.action_of(item, name))

    def action_request(self, name: str) -> None:
        why, item, verb = self.against(name), self.current, self.verbs[name]
        if why and why != NO_LEDGER:  # of that the screen asks what to do
            self.post_message(Told(f"{verb.label}: {why}", bad=True))
            return
        if isinstance(self.screen, Asking):
            self.screen.asking = True
        given = self.arguments(item, name)
        resumes = self.resumes(item, name)
        self.post_message(ActionRequested(self.action_of(item, name), given, ask=verb.ask, resumes=resumes))


def session_arguments(session: Session) -> dict[str, object]:
    return {"id": session.id, "started_at": session.started_at}


def no_terminate(session: Session) -> str:
    """Why the session cannot be ended; empty when it can."""
    if session.prepared is not None:
        return "a prepared transaction has no session to end"
    if session.started_at is None:
        return "the session cannot be identified: its start is not visible to this login"
    return f"protected: {session.protection}" if session.protection else ""


def no_cancel(session: Session) -> str:
    """Why its statement cannot be cancelled; empty when it can."""
    why = no_terminate(session)
    if not why and session.state is not State.ACTIVE:
        return f"no statement runs (the session is {session.state}); terminate ends it"
    return why
