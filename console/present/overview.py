"""All targets, a line each: how they do, what is wrong, and what the last minutes were like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from console.model.overview import Pulse, Standing, Trouble
from console.model.replication import Slot
from console.present.concerns import concerns
from console.present.plots import sparkline
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, count, counted, size

EMPTY: Final = "the config has no targets"
_TONES: Final = {
    Trouble.WELL: Tone.GOOD,
    Trouble.NOTICE: Tone.NOTICE,
    Trouble.UNKNOWN: Tone.MUTED,
    Trouble.WARN: Tone.WARN,
    Trouble.BAD: Tone.BAD,
}
# Shape and word beside the colour: one of the three is always to be seen.
_WORDS: Final = {
    Trouble.WELL: "● well",
    Trouble.NOTICE: "○ note",
    Trouble.UNKNOWN: "? unknown",
    Trouble.WARN: "▲ warning",
    Trouble.BAD: "■ BAD",
}
# The scale of a plot is at least this: our own polls shall not look like work.
_SCALES: Final = {"waits": 4.0, "connections": 1.0, "work": 100.0, "wal": float(1 << 20), "lag": 10.0}
SPARK: Final = 8  # cells: two minutes


def columns(spark: int = SPARK) -> tuple[Column, ...]:
    """With plots of so many cells: they are never cut, because the newest stands at their right end."""

    def plot(drop: int) -> Column:
        return Column(title="", width=spark, align="right", drop=drop)

    return (
        Column(title="target", width=16, least=10),
        Column(title="", width=9),
        Column(title="what is wrong", width=60, least=32, grow=True),
        Column(title="waits", width=5, align="right"),
        plot(2),
        Column(title="conn", width=9, align="right", drop=1),
        plot(7),
        Column(title="work/s", width=7, align="right", drop=3),
        plot(6),
        Column(title="WAL/s", width=7, align="right", drop=4),
        plot(8),
        Column(title="lag", width=6, align="right", drop=5),
        plot(9),
    )


def judged(standing: Standing, storm: int, unread: float) -> Standing:
    return msgspec.structs.replace(standing, concerns=concerns(standing, storm, unread))


def judge(storm: int, unread: float) -> Callable[[Standing], Standing]:
    """`storm` and `unread` are `storm_waiters` and `unread_wal` of the config."""
    return partial(judged, storm=storm, unread=unread)


def lines(standings: Sequence[Standing], spark: int = SPARK) -> list[Line]:
    return [_line(one, spark) for one in standings]


def _line(one: Standing, spark: int) -> Line:
    pulse, trouble = one.pulse, one.trouble
    known = pulse is not None
    cells = (
        clean(one.name, 60),
        _WORDS[trouble],
        reason(one),
        _figure(count(pulse.waiting) if pulse else "", known),
        _plot(one, "waits", spark),
        _connections(one),
        _plot(one, "connections", spark),
        _figure(pace(one.rates.work), known),
        _plot(one, "work", spark),
        _figure(flow(one.rates.wal), known),
        _plot(one, "wal", spark),
        lag(one),
        _plot(one, "lag", spark),
    )
    old = Tone.MUTED if one.stale else Tone.NORMAL
    tones = {0: Tone.NORMAL, 1: _TONES[trouble], 2: _TONES[trouble] if trouble else Tone.NORMAL}
    return Line(key=one.name, cells=cells, tone=old, tones=tones)


def reason(one: Standing) -> str:
    """The worst in words, and how much more there is."""
    if not one.concerns:
        return ""
    more = len(one.concerns) - 1
    return clean(one.concerns[0].text, 300) + (f" · {more} more" if more else "")


def _figure(said: str, known: bool) -> str:
    return said if known else ""


def _connections(one: Standing) -> str:
    pulse = one.pulse
    return f"{count(pulse.connections)}/{count(pulse.most)}" if pulse else ""


def pace(rate: float | None) -> str:
    """Coarse: our own polls are work, too."""
    if rate is None:
        return UNKNOWN
    return "<10" if rate < 10 else count(float(f"{rate:.2g}"))


def flow(rate: float | None) -> str:
    """Bytes a second, coarsely."""
    if rate is None:
        return UNKNOWN
    return "<64 kB" if rate < 65_536 else size(float(f"{rate:.2g}"))


def lag(one: Standing) -> str:
    """Empty where there is nothing to be behind."""
    pulse = one.pulse
    if pulse is None or (pulse.lag_seconds is None and pulse.lag_bytes is None and not pulse.replica):
        return "" if pulse is None or not _lag_unknown(one) else UNKNOWN
    if pulse.lag_seconds is not None:
        return "<1s" if pulse.lag_seconds < 1 else age(pulse.lag_seconds)
    return size(pulse.lag_bytes)


def _lag_unknown(one: Standing) -> bool:
    pulse = one.pulse
    if pulse is None:
        return False
    return bool(pulse.halted) or any("lag" in why or "replica" in why for why in pulse.unknown)


def _plot(one: Standing, name: str, spark: int) -> str:
    values = one.series.get(name, ())
    if not any(value is not None for value in values):
        return ""
    least = _SCALES[name]
    if name == "connections" and one.pulse is not None and one.pulse.most:
        least = float(one.pulse.most)
    return sparkline(values, spark, least=least)


def summary(standings: Sequence[Standing]) -> str:
    def how_many(least: Trouble, most: Trouble) -> int:
        return sum(1 for one in standings if least <= one.trouble <= most)

    bad, warned = how_many(Trouble.BAD, Trouble.BAD), how_many(Trouble.WARN, Trouble.WARN)
    unknown = how_many(Trouble.UNKNOWN, Trouble.UNKNOWN)
    told = [f"{len(standings)} target{'' if len(standings) == 1 else 's'}"]
    told += [f"{bad} BAD"] if bad else []
    told += [f"{warned} with a warning"] if warned else []
    told += [f"{unknown} not known"] if unknown else []
    return ", ".join(told) if len(told) > 1 else f"{told[0]}, all well"


def _s_waits(number: int | None) -> str:
    return " waits" if number == 1 else "s wait"


def details(one: Standing) -> list[tuple[str, str]]:
    """Everything of one target, label and value."""
    pulse, outlook = one.pulse, one.outlook
    told = [("target", f"{one.name}: {one.engine}, {one.environment}, {one.address}")]
    told += [("wrong" if not at else "", f"{concern.text}") for at, concern in enumerate(one.concerns)]
    if pulse is not None:
        work = "transactions" if one.engine == "postgres" else "statements"
        told += [
            ("waits", f"{count(pulse.waiting)} session{_s_waits(pulse.waiting)} for a lock"),
            ("connections", f"{count(pulse.connections)} of {count(pulse.most)} that clients may have"),
            ("work", f"{pace(one.rates.work)} {work} a second"),
            ("log", f"{flow(one.rates.wal)} of {'WAL' if one.engine == 'postgres' else 'redo log'} a second"),
            ("lag", f"{lag(one) or 'none'}{f' ({pulse.replica})' if pulse.replica else ''}"),
        ]
        told += [("unknown", why) for why in (*pulse.unknown, *outlook.unknown)]
    if outlook.slots:
        told.append(("slots", _slots(outlook.slots)))
    if outlook.disk_used is not None:
        told.append(("disk", f"{outlook.disk}: {outlook.disk_used:.0%} full"))
    told += [
        (f"{'XIDs' if n.kind == 'xid' else 'MXIDs'}", f"the oldest is {count(n.age)} old, the stop at "
         f"{count(n.limits.stop)}") for n in outlook.numbers
    ]  # fmt: skip
    return [(label, clean(value, 600)) for label, value in told]


def _slots(slots: Sequence[Slot]) -> str:
    many, most = counted(len(slots), "replication slot"), max(slots, key=lambda one: one.retained_bytes or 0)
    kept = (
        f"{most.name} keeps {size(most.retained_bytes)} of WAL" if most.retained_bytes else "none keeps WAL"
    )
    return f"{many}; {kept}{', more than the others' if most.retained_bytes and len(slots) > 1 else ''}"


def document(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Rows of `show overview --json`: one a target, the worst first; null is unknown."""
    return [_row(one) for one in standings]


def _row(one: Standing) -> dict[str, Any]:
    pulse = one.pulse or _NOTHING
    problem = one.problem
    return {
        "target": one.name,
        "engine": one.engine,
        "environment": one.environment,
        "trouble": one.trouble.name.lower(),
        "reasons": [{"trouble": each.trouble.name.lower(), "text": each.text} for each in one.concerns],
        "taken_at": one.taken_at,
        "problem": problem and {"kind": problem.kind, "message": problem.message, "hint": problem.hint},
        "silent_seconds": round(one.silent, 1) if one.stale else 0.0,
        "waiting": pulse.waiting,
        "root": pulse.queue.root if pulse.queue else None,
        "behind_root": pulse.queue.behind if pulse.queue else None,
        "longest_wait_seconds": pulse.queue.seconds if pulse.queue else None,
        "connections": pulse.connections,
        "connections_most": pulse.most,
        "connections_left": one.left,
        "work_per_second": one.rates.work,
        "work_unit": "transactions" if one.engine == "postgres" else "statements",
        "log_bytes_per_second": one.rates.wal,
        "replica": pulse.replica,
        "lag_seconds": pulse.lag_seconds,
        "lag_bytes": pulse.lag_bytes,
        "halted": pulse.halted,
        "follows": pulse.follows,
        "cluster": None if pulse.cluster is None else msgspec.to_builtins(pulse.cluster),
        "synchronous": None if pulse.commits is None else msgspec.to_builtins(pulse.commits),
        "disk_used": None if one.outlook.disk_used is None else round(one.outlook.disk_used, 4),
        "numbers": [
            {"kind": n.kind, "age": n.age, "left": n.limits.stop - n.age} for n in one.outlook.numbers
        ],
        "slots": None if one.outlook.slots is None else [_slot(slot) for slot in one.outlook.slots],
        "drills_overdue": list(one.outlook.overdue),
        "unknown": [*pulse.unknown, *one.outlook.unknown],
    }


def _slot(one: Slot) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "active": one.active_pid is not None,
        "wal_status": one.wal_status,
        "retained_bytes": one.retained_bytes,
        "safe_bytes": one.safe_bytes,
        "invalidation": one.invalidation,
        "inactive_since": one.inactive_since,
    }


NOBODY: Final = Standing(name="", engine="", environment="")
_NOTHING: Final = Pulse(at=0.0, started=0.0)
