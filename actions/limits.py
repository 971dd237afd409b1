"""What maintenance may cost: waits for locks, load of the server, lag of its replicas, time."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from actions.ladder import longest_seconds
from actions.words import duration
from console.dispatch.action import Plan
from console.engine.port import Engine
from console.errors import UsageError
from console.model.table_locks import Load
from console.present.units import age, span

Duration = str | float
MOST_LANES = 32
LONGEST_LOCK = 60.0


class WorkArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`jobs`: objects worked on at the same time, each on a connection of its own. `lock_timeout`: the
    longest single wait for a lock; `tries`: how often it is tried. `wait`: how long what is built beside
    readers and writers may wait for older transactions. `budget`: after so long nothing more
    begins and what runs is cancelled. `max_load` statements running: wait; `critical_load`: stop.
    `max_lag` of a replica: wait. Left away there is no such limit. Durations are `90s`, `10m`, or seconds.
    """

    jobs: Annotated[int, msgspec.Meta(ge=1, le=MOST_LANES)] = 1
    lock_timeout: Duration = "2s"
    tries: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    wait: Duration = "10m"
    budget: Duration = ""
    max_load: Annotated[int, msgspec.Meta(ge=0)] = 0
    critical_load: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_lag: Duration = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`WorkArgs` in seconds; None is no limit."""

    lanes: int = 1
    lock: float = 2.0
    tries: int = 10
    wait: float = 600.0
    budget: float | None = None
    max_load: int | None = None
    critical_load: int | None = None
    max_lag: float | None = None

    @property
    def guarded(self) -> bool:
        return not (self.max_load is None and self.critical_load is None and self.max_lag is None)


def limits_of(args: WorkArgs) -> Limits:
    """Raises UsageError for what is no duration, or one that would stop everybody for too long."""
    lock = duration(args.lock_timeout)
    if lock > LONGEST_LOCK:
        raise UsageError(
            f"lock_timeout={args.lock_timeout} is too long: who waits for an exclusive lock stops all "
            "others; nothing was executed",
            f"at most {LONGEST_LOCK:g}s, and more tries=…",
        )
    return Limits(
        lanes=args.jobs,
        lock=lock,
        tries=args.tries,
        wait=duration(args.wait),
        budget=_given("budget", args.budget),
        max_load=args.max_load or None,
        critical_load=args.critical_load or None,
        max_lag=_given("max_lag", args.max_lag),
    )


def _given(name: str, value: Duration) -> float | None:
    """None where nothing was given. Raises UsageError for 0, which some mean as none and some as no time."""
    if value == "":
        return None
    try:
        return duration(value)
    except UsageError:
        raise UsageError(
            f"{name}={value} is no time longer than 0; nothing was executed",
            f"leave {name}= away for no such limit, or give one like 90s, 10m or 2h",
        ) from None


async def check_guards(engine: Engine, limits: Limits) -> tuple[str, ...]:
    """What a guard does not see, as warnings. Raises UsageError for one that would see nothing and so hold
    nothing back, and what keeps the load from being read.
    """
    if not limits.guarded:
        return ()
    load = await engine.load()
    if limits.max_lag is not None and load.lag_seconds is None and load.why:
        raise UsageError(
            f"max_lag={span(limits.max_lag)} would hold nothing back: {load.why}; nothing was executed",
            "leave max_lag= away, and watch the replicas where they are",
        )
    if limits.max_lag is None or not load.unasked:
        return ()
    return (
        f"{load.unasked} more read the binary log than replicas are asked for max_lag= (labels `replica_of` "
        "in the config name them): how far those are behind is not seen",
    )


def planned(plan: Plan) -> Limits:
    return msgspec.convert(plan.subject["limits"], Limits)


def frozen(limits: Limits) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(limits)
    return found


def pausing(load: Load, limits: Limits) -> str:
    """Why nothing new may begin now; empty when it may."""
    if limits.max_load is not None and load.running > limits.max_load:
        return f"{load.running} statements run, more than max_load {limits.max_load}"
    lag = load.lag_seconds
    if limits.max_lag is not None and lag is None and load.why:
        return f"how far a replica is behind is not known: {load.why}"
    if limits.max_lag is not None and lag is not None and lag > limits.max_lag:
        name = load.replica or "unknown"
        return f"replica {name} is {age(lag)} behind, more than max_lag {age(limits.max_lag)}"
    return ""


def stopping(load: Load, limits: Limits) -> str:
    """Why what runs must be cancelled now; empty when it may go on."""
    if limits.critical_load is not None and load.running > limits.critical_load:
        return f"{load.running} statements run, more than critical_load {limits.critical_load}"
    return ""


def words(limits: Limits, *, patient: int, others: int) -> tuple[str, ...]:
    """What the plan says of them, for so many jobs that are built beside others and for the rest."""
    said = []
    if patient:
        said.append(f"it waits for older transactions at most {span(limits.wait)}; then it gives up")
    if others:
        most = span(longest_seconds(limits.lock, limits.tries))
        said.append(
            f"it waits for a lock at most {span(limits.lock)} at a time, {limits.tries} times within {most}; "
            "then it gives up"
        )
    if limits.budget is not None:
        said.append(f"after {span(limits.budget)} nothing more begins and what runs is cancelled")
    guards = [
        f"more than {limits.max_load} statements run" if limits.max_load is not None else "",
        f"a replica is more than {span(limits.max_lag)} behind" if limits.max_lag is not None else "",
    ]
    if any(guards):
        said.append(f"nothing new begins while {' or '.join(one for one in guards if one)}")
    if limits.critical_load is not None:
        said.append(f"all of it stops when more than {limits.critical_load} statements run")
    return tuple(said)
