"""What the ledger knows of drills: what was proved of each source, when, and what is overdue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from console.model.backups import TargetDrills, seconds_of
from console.model.drills import Outcome, Report, Verdict

PROOF = (Verdict.PASS, Verdict.DEGRADED)  # it restores
COVERAGE_DAYS = 30
_KEPT = 20


class DrillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One drill as the ledger keeps it. Times are in seconds; `report` is a path on the `host` it ran on."""

    id: str
    source: str
    backup: str
    method: str
    verdict: Verdict
    started_at: datetime
    seconds: float
    target: str = ""
    action_id: str = ""
    backup_at: datetime | None = None
    reasons: tuple[str, ...] = ()
    phases: dict[str, float] = {}
    bytes: int | None = None
    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    rto_target: float | None = None
    rpo_target: float | None = None
    made: int = 0
    checks: int = 0
    failed: tuple[str, ...] = ()
    baseline: str = ""
    report: str = ""
    sha256: str = ""
    host: str = ""


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """What is proved of one source. `overdue`: seconds since a drill was due; None is in time."""

    target: str
    source: str
    method: str
    cadence: float
    last: DrillRecord | None = None
    proved_at: datetime | None = None
    overdue: float | None = None


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the targets that have backups were proved to restore within `days`."""

    proved: int
    targets: int
    days: int = COVERAGE_DAYS


def record_of(report: Report, path: str, sha256: str) -> DrillRecord:
    phases: dict[str, float] = {}
    for one in report.phases:
        phases[one.name] = round(phases.get(one.name, 0.0) + one.seconds, 3)
    made, checks = report.coverage
    return DrillRecord(
        id=report.id,
        target=report.target,
        source=report.source,
        backup=report.backup.id,
        method=report.backup.method,
        verdict=report.verdict,
        started_at=report.started_at,
        seconds=round(report.seconds, 3),
        backup_at=report.backup.started_at,
        reasons=report.reasons[:_KEPT],
        phases=phases,
        bytes=report.backup.bytes,
        rto_seconds=report.rto_seconds,
        rpo_seconds=report.rpo_seconds,
        rto_target=report.rto_target,
        rpo_target=report.rpo_target,
        made=made,
        checks=checks,
        failed=tuple(one.name for one in report.checks if one.outcome is Outcome.FAILED)[:_KEPT],
        baseline=report.baseline,
        report=path,
        sha256=sha256,
        host=str(report.host.get("name", "")),
    )


def records(evidence: Iterable[Mapping[str, Any]]) -> tuple[DrillRecord, ...]:
    """From the evidence of outcomes, the newest first; what a later dbdeck wrote differently is left out."""
    found = []
    for one in evidence:
        about = {"target": one.get("target", ""), "action_id": one.get("action_id", "")}
        for drill in one.get("drills") or ():
            try:
                found.append(msgspec.convert({**drill, **about}, DrillRecord))
            except msgspec.ValidationError:
                continue
    return tuple(sorted(found, key=lambda one: one.started_at, reverse=True))


def states(
    target: str, rule: TargetDrills, drills: Sequence[DrillRecord], now: datetime
) -> tuple[SourceState, ...]:
    """Each source of a target; the most overdue first. One that was never proved is overdue by all of it."""
    cadence = seconds_of(rule.cadence)
    found = []
    for name, source in rule.sources.items():
        own = [one for one in drills if (one.target, one.source) == (target, name)]
        proved = next((one.started_at for one in own if one.verdict in PROOF), None)
        age = cadence * 2 if proved is None else (now - proved).total_seconds()
        found.append(
            SourceState(
                target=target,
                source=name,
                method=source.method,
                cadence=cadence,
                last=own[0] if own else None,
                proved_at=proved,
                overdue=age - cadence if age > cadence else None,
            )
        )
    return tuple(sorted(found, key=lambda one: -(one.overdue or 0.0)))


def coverage(targets: Mapping[str, TargetDrills], drills: Sequence[DrillRecord], now: datetime) -> Coverage:
    since = now - timedelta(days=COVERAGE_DAYS)
    wanted = [name for name, rule in targets.items() if rule.sources]
    proved = {one.target for one in drills if one.verdict in PROOF and one.started_at >= since}
    return Coverage(proved=len(proved & set(wanted)), targets=len(wanted))
