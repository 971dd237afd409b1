"""What happens in a run: one event is one row of the ledger, and a run is nothing but its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

Effect = Literal["none", "applied", "no_op", "unknown"]
Result = Literal["ok", "failed", "escalate", "rolled_back", "rollback_failed", "unknown", "stopped"]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """`by` is who did it, where somebody did; a claim, as the machine knows them."""


class Started(_Event, tag="started", frozen=True, kw_only=True):
    """`texts` are the documents themselves, by id: a run goes on by what it began with, on any machine.

    `facts` are what expressions know as `target` and `server`.
    """

    run: str
    runbook: str
    digest: str
    texts: dict[str, str]
    target: str
    params: dict[str, Any]
    facts: dict[str, Any]
    by: str
    reason: str = ""
    ticket: str = ""


class Begun(_Event, tag="begun", frozen=True, kw_only=True):
    """Before what a step does. `given` are its arguments as worked out; `attempt` counts from one.

    `acts`: it changes something, so that what broke off here is looked for and never done again. An attempt
    that goes on with the rest of another has the arguments of the step here; those of the rest are in the
    action's own intent.
    """

    step: str
    attempt: int = 1
    given: dict[str, Any] = {}
    acts: bool = False


class Skipped(_Event, tag="skipped", frozen=True, kw_only=True):
    step: str
    why: str
    by: str = ""


class Noted(_Event, tag="noted", frozen=True, kw_only=True):
    step: str
    text: str


class Chosen(_Event, tag="chosen", frozen=True, kw_only=True):
    """The way a branch takes: the number of its case, or `else`."""

    step: str
    choice: str
    by: str = ""


class Opened(_Event, tag="opened", frozen=True, kw_only=True):
    """A `for_each` with its items, or a `call` with its params: frozen from here on."""

    step: str
    items: list[Any] = []
    given: dict[str, Any] = {}


class Closed(_Event, tag="closed", frozen=True, kw_only=True):
    """A `call` whose runbook came to an end that is fine."""

    step: str
    text: str = ""


class Observed(_Event, tag="observed", frozen=True, kw_only=True):
    """What a step that changes nothing saw, and whether what it expects holds."""

    step: str
    state: Literal["done", "failed", "unknown"]
    summary: str = ""
    value: Any = None
    warnings: tuple[str, ...] = ()


class Acted(_Event, tag="acted", frozen=True, kw_only=True):
    """How an action ended. `not_begun`: the ledger has no intent of this attempt, so nothing was done."""

    step: str
    effect: Effect
    state: Literal["done", "failed", "unknown", "not_begun"]
    summary: str = ""
    action_id: str = ""
    exit: int = 0
    value: Any = None
    warnings: tuple[str, ...] = ()


class Decided(_Event, tag="decided", frozen=True, kw_only=True):
    """What somebody decided, or an expression where `by` says so."""

    step: str
    question: str
    decision: str
    by: str
    text: str = ""


class HandedOver(_Event, tag="handed_over", frozen=True, kw_only=True):
    by: str
    to: str
    text: str = ""


class Resumed(_Event, tag="resumed", frozen=True, kw_only=True):
    by: str


class Remarked(_Event, tag="remarked", frozen=True, kw_only=True):
    """What somebody writes down beside the steps, also after the end; it changes nothing."""

    by: str
    text: str


class RollingBack(_Event, tag="rolling_back", frozen=True, kw_only=True):
    why: str
    by: str = ""


class Ended(_Event, tag="ended", frozen=True, kw_only=True):
    result: Result
    text: str = ""


Event: TypeAlias = (
    Started
    | Begun
    | Skipped
    | Noted
    | Chosen
    | Opened
    | Closed
    | Observed
    | Acted
    | Decided
    | HandedOver
    | Resumed
    | Remarked
    | RollingBack
    | Ended
)
# What tells of something that has happened: it is recorded even where the ledger's table is away.
AFTERWARDS: Final = (Acted, Observed, Ended)


def encode(event: Event) -> dict[str, Any]:
    """As the body of a row."""
    found: dict[str, Any] = msgspec.to_builtins(event)
    return found


def decode(body: Mapping[str, Any]) -> Event:
    """Raises msgspec.ValidationError for what is no event."""
    found: Event = msgspec.convert(dict(body), Event)
    return found
