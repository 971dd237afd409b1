"""What an action is: a plan made of reads, an effect through the Operator, and a proof."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, TypeVar, runtime_checkable

import msgspec

from console.dispatch.facts import Facts
from console.engine.port import Engine, Need
from console.model.target import ServerIdentity
from console.secret_store import SecretStore

if TYPE_CHECKING:
    from console.dispatch.memory import Memory
    from console.dispatch.operator import Operator


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a plan of many: what is done to it, and how large it is (bytes, None is unknown).

    `seconds` is how long it took when it was done last, scaled by the size; None where it never was.
    """

    subject: str
    action: str
    bytes: int | None = None
    seconds: float | None = None


# How a transaction, a slot or a table was when it was looked at, never which one it is, what is done or the
# condition of a statement: an idle slot is dropped only where its `restart_lsn` stands where it stood.
_MEASURED = frozenset({
    "rows_modified", "blocks", "why", "pins",
    "xmin_age", "catalog_xmin_age", "confirmed_lsn", "retained_bytes", "safe_bytes", "wal_status",
    "inactive_since", "idle_seconds",
    "vacuums", "analyzes", "vacuumed_at", "analyzed_at", "created_at", "filenode",
})  # fmt: skip
# The same under names that mean something else elsewhere, by what else is there; and ids of this run's own.
_MEASURED_OF = (
    ({"verb", "statement"}, {"bytes"}),  # a job of maintenance
    ({"jobs"}, {"before"}),  # the indexes that were there before them
    ({"lot"}, {"rows"}),  # how many were counted; it is the condition that says which go
    ({"source", "phases"}, {"id", "phases"}),  # a drill
    ({"up", "down", "backup"}, {"id"}),  # a rehearsal
    ({"entry", "rotation"}, {"rotation"}),
)


_NESTS: Final = (dict, list, tuple)


def _lasting(value: Any) -> Any:
    """A subject without what another look at the same thing sees differently; of a session no more than which
    one it is. Whatever of it an effect depends on stands in the statements or in `observed`.
    """
    if isinstance(value, list | tuple):
        return [_lasting(one) if isinstance(one, _NESTS) else one for one in value]
    if not isinstance(value, dict):
        return value
    if "query_seconds" in value:
        return {name: value.get(name) for name in ("id", "started_at")}
    measured: set[str] = set()
    for marks, names in _MEASURED_OF:
        if marks <= value.keys():
            measured |= names
    if value.get("active_pid"):
        measured |= {"restart_lsn", "active_pid", "reader"}  # whose it is stands in `observed`
    if value.get("chosen") is False:
        measured |= {"files"}  # the server chooses
    return {
        name: _lasting(one) if isinstance(one, _NESTS) else one
        for name, one in value.items()
        if name not in _MEASURED and name not in measured
    }


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an action would do, made of reads only. Plain data: it can be saved, shown and hashed.

    `subject` is the frozen identity of what is acted on, `observed` are the preconditions with the
    values seen; both are compared again before the effect. `refusals` are the reasons of protected
    classes: with any of them the dispatcher refuses. Plans of one `likeness` do the same to the same
    client; how earlier ones ended is told in the forecast. `confirm`: the target's name must be typed
    whatever the environment. `given` are the arguments before they were made exact. `resumes` is the
    action whose rest this is.
    """

    action: str
    target: str
    risk: Risk
    args: dict[str, Any]
    given: dict[str, Any] = {}
    subject: dict[str, Any]
    statements: tuple[str, ...]
    forecast: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    undo: str = "nothing undoes it"
    observed: dict[str, Any] = {}
    evidence: dict[str, Any] = {}
    likeness: str = ""
    pieces: tuple[Piece, ...] = ()
    confirm: bool = False
    resumes: str = ""
    part_of: str = ""
    server: ServerIdentity
    made_at: Annotated[datetime, msgspec.Meta(tz=True)]
    version: str = ""

    @property
    def title(self) -> str:
        return str(self.subject.get("title", self.action))

    @property
    def hash(self) -> str:
        """SHA-256 over what would be done to what; not over when it was planned, what it forecasts, or how
        its subject was by then: who plans the end of a session again gets the hash that others approved, also
        where it went on with another statement that the effect does not depend on.
        Plans that name what they make (backups), go by age (rows.purge, binlog.purge) or move VALID UNTIL
        are new each time: of those the saved plan is approved, or the one for which `apply` waits.
        """
        parts = (
            self.action, self.target, self.risk, self.args, _lasting(self.subject), self.statements,
            self.observed, self.server.system_id,
        )  # fmt: skip
        encoded = msgspec.json.encode(msgspec.to_builtins(parts, str_keys=True), order="sorted")
        return hashlib.sha256(encoded).hexdigest()


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's (or a script's) yes to a plan. `confirm` is the name typed for high risk in prod.

    `waits`: it is asked again and again while others have not approved, and that is recorded already.
    """

    reason: str
    ticket: str = ""
    confirm: str = ""
    waits: bool = False


def _nobody(_: str) -> None:
    """Nobody listens."""


class Stop(asyncio.Event):
    """Set when a running action is to begin nothing further; `by` says what asked for it first."""

    by = ""

    def ask(self, by: str) -> None:
        self.by = self.by or by
        self.set()


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """How far a long phase is. `total` None: nobody knows; `eta` are the seconds left, as far as one can
    tell, and `why` what that rests on.
    """

    phase: str
    done: float
    total: float | None = None
    unit: str = ""
    eta: float | None = None
    why: str = ""


def _unseen(_: Advance) -> None:
    """Nobody looks."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks on while an action runs.

    `seconds`: how long its consequences are followed at most once the effect is proved. `tell` hears
    what happens, a line at a time, `advance` how far it is. `stop` set: an action of several effects starts
    no further one, and following ends; what was begun is finished and recorded.
    """

    seconds: float = 30.0
    tell: Callable[[str], None] = _nobody
    advance: Callable[[Advance], None] = _unseen
    stop: Stop = msgspec.field(default_factory=Stop)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the effect reported of itself. `matched` is False where the identity check found nothing."""

    matched: bool
    evidence: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the server is in the state the action wanted, and what was seen of it.

    `partial`: of several subjects some are in that state and the others certainly are not. `certain`: it
    holds also where the answer to the effect was lost, because nothing that was sent can still be on its way.
    """

    state: Literal["applied", "partial", "not_applied", "undecidable"]
    summary: str
    evidence: dict[str, Any] = {}
    certain: bool = False

    def with_evidence(self, more: Mapping[str, Any]) -> Verdict:
        return msgspec.structs.replace(self, evidence={**self.evidence, **more})


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded effect of an action on several subjects, and the action's word for what came of it.

    `answer` None: it was sent, or about to be, and nobody knows what came of it.
    """

    subject: int
    answer: str | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan's `observed` and `refusals` are now; `risk` and `confirm` where they may have changed."""

    observed: dict[str, Any]
    refusals: tuple[str, ...] = ()
    risk: Risk | None = None
    confirm: bool = False


ArgsT = TypeVar("ArgsT", bound=msgspec.Struct)


class Action(Protocol[ArgsT]):
    """One operation on one kind of subject. It never opens a connection; effects go through operator."""

    name: str
    summary: str
    risk: Risk
    flavors: tuple[str, ...]
    facts: Facts
    Args: type[ArgsT]

    async def plan(self, engine: Engine, args: ArgsT) -> Plan:
        """Reads only. Raises Stale when the subject is gone or changed, naming what changed."""
        ...

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Every effect through `operator`, which records it first."""
        ...

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        """Proof after the effect, and what `audit reconcile` asks after a crash.

        `patience`: seconds it may wait for the server to reach the wanted state.
        """
        ...

    def lock(self, plan: Plan) -> str | tuple[str, ...]:
        """Names of the locks that keep two runs from acting on the same subject."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """An action that may take hours: it gets a connection of its own, so that the warm one stays free
    for what cannot wait.
    """

    lasting: Literal[True]


@runtime_checkable
class Offline(Protocol):
    """An action that acts on something else than its target's server, which may be down: it gets no
    connection, and its locks hold on this machine.
    """

    offline: Literal[True]


Past = Callable[[], Awaitable[Sequence[dict[str, Any]]]]


@runtime_checkable
class Recalling(Protocol):
    """An action that is planned by how earlier runs of it on the target ended, too."""

    async def plan_recalled(self, engine: Engine, args: Any, past: Past) -> Plan:
        """As `plan`. `past` reads the evidence of their outcomes, the newest first, from the ledger."""
        ...


@runtime_checkable
class Looking(Protocol):
    """An action whose preconditions can be looked at again for less than a new plan costs."""

    async def look(self, plan: Plan, engine: Engine) -> Look:
        """Everything in the plan's `observed`, and every reason to refuse. Raises as `Action.plan`."""
        ...


@runtime_checkable
class Thinning(Protocol):
    """An action on what comes and goes: a plan of a while ago is for those of its subjects that still fit."""

    def among(self, saved: Plan) -> Action[Any]:
        """The action on no more than the subjects of `saved`. Raises Refused where that tells none."""
        ...


@runtime_checkable
class Binding(Protocol):
    """An action whose plan is bound to what its subject did at the time. A moment later it would be bound
    otherwise; the saved one may hold all the same, as `look` says.
    """

    def bound_as(self, saved: Plan) -> Action[Any]:
        """The action that binds its plan as `saved` is, where that holds. Raises Refused where that tells
        nothing it is bound to.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """An action on many subjects whose rest can be told from the server after it broke off."""

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:
        """The arguments for what is not done yet."""
        ...


@runtime_checkable
class Stepwise(Protocol):
    """An action on several subjects: what may be said of each depends on what was sent to it."""

    async def verify_steps(
        self, plan: Plan, engine: Engine, steps: Sequence[Step], *, patience: float
    ) -> Verdict:
        """As `verify`, which is asked where the steps do not name their subjects."""
        ...


@runtime_checkable
class Needy(Protocol):
    """An action whose rights can be told before it is tried."""

    def needs(self, plan: Plan) -> tuple[Need, ...]: ...


@runtime_checkable
class Keeping(Protocol):
    """An action whose effects are also in the store of secrets."""

    async def ready(self, plan: Plan, engine: Engine, store: SecretStore | None) -> dict[str, Any]:
        """The last look before the intent, which needs the secrets; what it saw joins the plan's evidence.

        Raises Refused, or what the store raises: nothing was executed then.
        """
        ...

    async def verify_kept(
        self, plan: Plan, engine: Engine, store: SecretStore | None, *, patience: float
    ) -> Verdict:
        """As `verify`, by what the store holds and the server takes."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An action that is planned by what the store holds and the ledger tells, too."""

    async def plan_kept(self, engine: Engine, args: Any, memory: Memory) -> Plan:
        """As `plan`."""
        ...


@runtime_checkable
class Sparing(Protocol):
    """An action on several subjects that goes on without those that are not fit, where its plan says so."""

    def apart(self, plan: Plan) -> Mapping[str, tuple[Need, ...]]:
        """What each subject takes, by its name; empty where the plan is for all or for none."""
        ...

    def without(self, plan: Plan, why: Mapping[str, str]) -> Plan:
        """The plan that leaves these out. Raises Refused where nobody would be left."""
        ...


@runtime_checkable
class Followed(Protocol):
    """An action whose consequences are worth watching after its effect was proved."""

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        """The verdict with what came of it. Ends early when nothing more is to be seen, or on `watch.stop`.

        It may become a lesser one, where the effect did not do what the action is for.
        """
        ...
