"""The Backups and Drills views: what there is, what was proved, and what is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from console.model.backups import Backup, Catalogue, DrillRule, TargetDrills, seconds_of
from console.model.drill_history import Coverage, DrillRecord, SourceState, coverage, states

_NEVER = datetime.fromtimestamp(0, UTC)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A backup, and the last drill of exactly it. `age` in seconds; `newest` of its source."""

    backup: Backup
    age: float | None = None
    newest: bool = False
    drill: DrillRecord | None = None


class BackupBoard(msgspec.Struct, frozen=True, kw_only=True):
    """`rpo` is promised, in seconds."""

    at: datetime = _NEVER
    rpo: float = 0.0
    sources: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    problems: tuple[str, ...] = ()


class DrillBoard(msgspec.Struct, frozen=True, kw_only=True):
    """`drills` the newest first; `promised` are (RTO, RPO) in seconds."""

    at: datetime = _NEVER
    drills: tuple[DrillRecord, ...] = ()
    states: tuple[SourceState, ...] = ()
    coverage: Coverage = Coverage(proved=0, targets=0)
    promised: tuple[float, float] = (0.0, 0.0)
    problem: str = ""


def backup_board(
    rule: DrillRule, found: Catalogue, drills: Sequence[DrillRecord], now: datetime
) -> BackupBoard:
    """`drills` are those of the target, the newest first."""
    newest = {name: found.newest(name) for name in rule.sources}
    kept = [
        Kept(
            backup=one,
            age=None if one.started_at is None else (now - one.started_at).total_seconds(),
            newest=newest.get(one.source) is one,
            drill=next((d for d in drills if (d.source, d.backup) == (one.source, one.id)), None),
        )
        for one in found.backups
    ]
    return BackupBoard(
        at=now,
        rpo=seconds_of(rule.rpo),
        sources=tuple(rule.sources),
        kept=tuple(kept),
        problems=found.problems,
    )


def drill_board(
    target: str,
    rule: DrillRule,
    every: Mapping[str, TargetDrills],
    drills: Sequence[DrillRecord],
    now: datetime,
    *,
    problem: str = "",
) -> DrillBoard:
    """`drills` are those of all targets in `every`: how many are covered is told of all."""
    return DrillBoard(
        at=now,
        drills=tuple(one for one in drills if one.target == target),
        states=states(target, rule, drills, now),
        coverage=coverage(every, drills, now),
        promised=(seconds_of(rule.rto), seconds_of(rule.rpo)),
        problem=problem,
    )
