"""What a runbook is: a typed document of steps of a few kinds. No step holds a program or a shell.

Every text under `with`, `args`, `in`, `when`, `if`, `until` is an expression; `{{ }}` in other texts is for
people only. Nothing of either is ever put into SQL: what a query needs is bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

FORMAT: Final = "runbook/v1"

Slug = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{1,62}$", description="small letters, digits and -")]
Word = Annotated[
    str, Meta(pattern="^[a-z][a-z0-9_]{0,30}$", description="a name: small letters, digits and _")
]
Expression = Annotated[str, Meta(min_length=1, max_length=500, description="an expression; pure and total")]
Length = Annotated[
    str, Meta(pattern=r"^\d{1,6}(\.\d{1,3})?(ms|s|m|h|d)$", description="like 500ms, 30s, 5m, 2h, 90d")
]
Text = Annotated[
    str, Meta(min_length=1, max_length=8000, description="for people; {{ expression }} is filled in")
]
Sql = Annotated[
    str, Meta(min_length=1, max_length=20_000, description="one read; :name is bound from `args`")
]
Pattern = Annotated[str, Meta(max_length=200, description="a text has to fit it as a whole")]
Value: TypeAlias = Expression | int | float | bool | None
Count = Annotated[int, Meta(ge=1, le=10_000)]


class Flavor(StrEnum):
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    MARIADB = "mariadb"


class Risk(StrEnum):
    """The most that an action of the document may be."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class OnFailure(StrEnum):
    STOP = "stop"
    ASK = "ask"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


class OnUnknown(StrEnum):
    STOP = "stop"
    ASK = "ask"


class EndResult(StrEnum):
    OK = "ok"
    FAILED = "failed"
    ESCALATE = "escalate"


class ParamType(StrEnum):
    """`session` is `ID@STARTED_AT` as `show sessions` tells it; `duration` becomes seconds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    CHOICE = "choice"
    SESSION = "session"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Part of a document: nothing in it that is not known."""


class Param(_Part, frozen=True, kw_only=True):
    type: ParamType
    help: str = ""
    default: str | int | float | bool | None = None
    required: bool = False
    least: Annotated[float | Length | None, Meta(description="the smallest, for numbers and durations")] = (
        msgspec.field(name="min", default=None)
    )
    most: Annotated[float | Length | None, Meta(description="the greatest")] = msgspec.field(
        name="max", default=None
    )
    pattern: Pattern | None = None
    values: Annotated[tuple[str, ...], Meta(description="of a choice")] = ()


class Assertion(_Part, frozen=True, kw_only=True):
    """`severity: warn` is told and does not stop."""

    holds: Expression = msgspec.field(name="assert")
    message: Text = "it does not hold"
    severity: Literal["block", "warn"] = "block"


class Approvals(_Part, frozen=True, kw_only=True):
    """So many others than who started it have to approve the run before its first step, `when` that holds."""

    count: Annotated[int, Meta(ge=1, le=5)] = 1
    when: Expression = "true"


class Limits(_Part, frozen=True, kw_only=True):
    """`lock`: what else may not run meanwhile: any run on the target, or another one of this runbook."""

    timeout: Length = "2h"
    lock: Literal["target", "runbook", "none"] = "target"
    stop_after_failures: Count = 3


class Verify(_Part, frozen=True, kw_only=True):
    """A look at whether the effect is there: after it as the proof, before it because it may be there
    already, and after a crash to find out. Neither condition true is: nobody knows.
    """

    read: str | None = None
    sql: Sql | dict[Flavor, Sql] | None = None
    args: dict[Word, Value] = {}
    applied_if: Expression
    not_applied_if: Expression | None = None
    within: Length = "10s"


class _Step(_Part, tag_field="kind", frozen=True, kw_only=True):
    id: Word
    title: str = ""
    why: str = ""
    when: Expression | None = None
    kind: ClassVar[str]


class _Acting(_Step, frozen=True, kw_only=True):
    """A step that can fail."""

    expect: tuple[Assertion, ...] = ()
    timeout: Length = "30s"
    on_failure: OnFailure = OnFailure.STOP
    on_unknown: OnUnknown = OnUnknown.ASK


class Note(_Step, tag="note", frozen=True, kw_only=True):
    """A text that is shown; it asks nothing."""

    text: Text
    kind = "note"


class Manual(_Step, tag="manual", frozen=True, kw_only=True):
    """Something a person does elsewhere, and says so; headless it needs `--attest ID=TEXT`."""

    text: Text
    save: Word | None = None
    kind = "manual"


class Confirm(_Step, tag="confirm", frozen=True, kw_only=True):
    """A gate. `phrase` has to be typed; headless it needs `--confirm ID=PHRASE`."""

    text: Text
    phrase: Text = "yes"
    kind = "confirm"


class Check(_Acting, tag="check", frozen=True, kw_only=True):
    """Conditions over what is known by now."""

    kind = "check"


class Query(_Acting, tag="query", frozen=True, kw_only=True):
    """One read with the monitor's login: by name (`read`), or a SELECT in a read-only transaction."""

    read: Annotated[str | None, Meta(description="what `dbdeck show` shows, with the same fields")] = None
    sql: Sql | dict[Flavor, Sql] | None = None
    args: dict[Word, Value] = {}
    max_rows: Annotated[int, Meta(ge=1, le=2000)] = 200
    save: Word | None = None
    redact: Annotated[tuple[str, ...], Meta(description="fields whose values are not kept")] = ()
    kind = "query"


class ActionStep(_Acting, tag="action", frozen=True, kw_only=True):
    """A registered action. `rollback` are the steps that take it back, shown before the first effect."""

    action: Annotated[str, Meta(pattern=r"^[a-z_]+(\.[a-z_]+)+$")]
    given: dict[str, Value | list[Value]] = msgspec.field(name="with", default_factory=dict)
    save: Word | None = None
    verify: Verify | None = None
    rollback: tuple[Step, ...] = ()
    kind = "action"


class Capture(_Acting, tag="capture", frozen=True, kw_only=True):
    """Several reads kept under one name, as evidence and to compare with later."""

    collect: Annotated[tuple[str, ...], Meta(min_length=1)]
    save: Word
    max_rows: Annotated[int, Meta(ge=1, le=2000)] = 100
    redact: tuple[str, ...] = ()
    kind = "capture"


class WaitUntil(_Acting, tag="wait_until", frozen=True, kw_only=True):
    """A read again and again, until a condition over its `rows`, `row` and `count` holds; always bounded."""

    until: Expression
    timeout: Length
    read: str | None = None
    sql: Sql | dict[Flavor, Sql] | None = None
    args: dict[Word, Value] = {}
    abort_if: Expression | None = None
    every: Length = "2s"
    save: Word | None = None
    kind = "wait_until"


class Case(_Part, frozen=True, kw_only=True):
    holds: Expression = msgspec.field(name="if")
    label: str = ""
    steps: tuple[Step, ...]


class Branch(_Step, tag="branch", frozen=True, kw_only=True):
    """The first case that is true. A condition that is not known asks: it never falls through."""

    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]
    otherwise: tuple[Step, ...] = msgspec.field(name="else", default=())
    on_unknown: OnUnknown = OnUnknown.ASK
    kind = "branch"


class ForEach(_Step, tag="for_each", frozen=True, kw_only=True):
    """The same steps for each item of a list that is frozen when the step begins.

    After the first `canary` items the rest wants a yes, or `go_on_if` to hold.
    """

    items: Expression = msgspec.field(name="in")
    name: Word = msgspec.field(name="as")
    most: Annotated[int, Meta(ge=1, le=500)] = msgspec.field(name="max", default=20)
    canary: Count | None = None
    go_on_if: Expression | None = None
    pause_between: Length = "0s"
    steps: tuple[Step, ...]
    kind = "for_each"


class Call(_Step, tag="call", frozen=True, kw_only=True):
    """Another runbook's steps, with its own names; what it has as params is given here."""

    runbook: Slug
    given: dict[Word, Value] = msgspec.field(name="with", default_factory=dict)
    kind = "call"


class End(_Step, tag="end", frozen=True, kw_only=True):
    result: EndResult
    text: Text = "the end of the runbook"
    kind = "end"


Step: TypeAlias = (
    Note | Manual | Confirm | Check | Query | ActionStep | Capture | WaitUntil | Branch | ForEach | Call | End
)
Acting: TypeAlias = Check | Query | ActionStep | Capture | WaitUntil
KINDS: Final[Mapping[str, type[Any]]] = {
    kind.kind: kind
    for kind in (
        Note,
        Manual,
        Confirm,
        Check,
        Query,
        ActionStep,
        Capture,
        WaitUntil,
        Branch,
        ForEach,
        Call,
        End,
    )
}


class Fixture(_Part, frozen=True, kw_only=True):
    """Recorded answers, and the way the document takes by them; `lint` walks it without a server.

    `answers` are by step: rows of a query or a poll (`cancel[0].look` for one item), of a capture by what it
    collects, of an action its evidence; `effects` say how actions end; `decisions` what people say. `path`
    are the steps done, in order.
    """

    name: str
    params: dict[str, Any] = {}
    target: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    effects: dict[str, Literal["applied", "no_op", "none", "unknown"]] = {}
    decisions: dict[str, str] = {}
    path: tuple[str, ...]
    result: str


class Document(_Part, frozen=True, kw_only=True):
    """A runbook. `digest` and `source` are set by the loader and never written in the file."""

    api: Literal["runbook/v1"] = msgspec.field(name="apiVersion")
    id: Slug
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    summary: str = ""
    owner: Annotated[str, Meta(min_length=1)]
    reviewed: date
    review_every: Length = "90d"
    engines: Annotated[dict[Flavor, str], Meta(min_length=1, description='like {postgresql: ">=13"}; quoted')]
    risk: Risk
    symptoms: tuple[str, ...] = ()
    params: dict[Word, Param] = {}
    approvals: Approvals | None = None
    limits: Limits = Limits()
    preconditions: tuple[Assertion, ...] = ()
    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]
    tests: tuple[Fixture, ...] = ()


def children(step: Step) -> Iterator[tuple[tuple[str | int, ...], tuple[Step, ...]]]:
    """(where, steps) of the lists of steps in a step, in the order of the document."""
    match step:
        case Branch(cases=cases, otherwise=otherwise):
            for i, case in enumerate(cases):
                yield ("cases", i, "steps"), case.steps
            yield ("else",), otherwise
        case ForEach(steps=steps):
            yield ("steps",), steps
        case ActionStep(rollback=rollback):
            yield ("rollback",), rollback
        case _:
            return


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step below, in the order of the document."""
    for step in steps:
        yield step
        for _, inner in children(step):
            yield from walk(inner)
