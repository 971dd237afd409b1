"""A restore drill: its checks, its times, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from console.model.backups import Backup


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # not tried; `detail` says why, and it never counts as passed
    BROKEN = "broken"  # the check itself could not be made


class Area(StrEnum):
    """What a check is about."""

    GROUND = "ground"  # programs, disk: what a drill stands on
    MEDIA = "media"  # the backup's own files: checksums, manifest, completeness
    FENCE = "fence"  # the restored server reaches nobody
    RECOVERY = "recovery"  # it came up, and as far as it should
    INVENTORY = "inventory"
    ROWS = "rows"
    CONTENT = "content"
    SEQUENCES = "sequences"
    KEYS = "foreign keys"
    INTEGRITY = "integrity"  # amcheck, CHECK TABLE
    INDEXES = "indexes"
    COLLATION = "collation"
    FRESHNESS = "freshness"
    ASSERTION = "assertion"
    OBJECTIVE = "objective"  # RPO and RTO


_NOT_OF_THE_BACKUP = (Area.OBJECTIVE, Area.FENCE, Area.GROUND)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`items` are what it names, such as each missing view; never rows of data."""

    area: Area
    name: str
    outcome: Outcome
    detail: str = ""
    items: tuple[str, ...] = ()
    seconds: float = 0.0


class PhaseName(StrEnum):
    PRECHECK = "precheck"
    MEDIA = "media"
    PREPARE = "prepare"  # an empty server, where a dump is loaded into one
    RESTORE = "restore"
    RECOVER = "recover"
    VERIFY = "verify"
    TEARDOWN = "teardown"


RECOVERY_PHASES = (
    PhaseName.PREPARE,
    PhaseName.RESTORE,
    PhaseName.RECOVER,
)  # what the measured RTO is made of


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    name: PhaseName
    seconds: float
    bytes: int | None = None


class Verdict(StrEnum):
    """PASS; DEGRADED: it restores, and an objective was missed; FAIL: the backup is bad; INCONCLUSIVE: the
    drill could not tell; ABORTED: somebody stopped it.
    """

    PASS = "pass"  # noqa: S105 - no password
    DEGRADED = "degraded"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that one drill found. `rpo_seconds`: how old the newest of what was restored was when the drill
    began; `rto_seconds`: what restoring and recovering took. `left` is what could not be removed.
    """

    id: str
    action_id: str
    target: str
    source: str
    backup: Backup
    verdict: Verdict
    reasons: tuple[str, ...]
    started_at: datetime
    seconds: float
    phases: tuple[Phase, ...]
    checks: tuple[Check, ...]
    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    rto_target: float | None = None
    rpo_target: float | None = None
    to_time: datetime | None = None
    baseline: str = ""
    tools: dict[str, str] = {}
    host: dict[str, Any] = {}
    commands: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def coverage(self) -> tuple[int, int]:
        """(checks that were made, checks there are)."""
        made = sum(one.outcome in (Outcome.PASSED, Outcome.FAILED) for one in self.checks)
        return made, len(self.checks)


def judge(
    checks: Sequence[Check], *, aborted: bool = False, left: Sequence[str] = ()
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and why. A fault of the backup outweighs what could not be found out, and nothing that
    was left behind is a pass.
    """
    failed = [one for one in checks if one.outcome is Outcome.FAILED]
    bad = [one for one in failed if one.area not in _NOT_OF_THE_BACKUP]
    broken = [one for one in checks if one.outcome is Outcome.BROKEN or _unfit(one)]
    missed = [one for one in failed if one.area is Area.OBJECTIVE]
    reasons = tuple(_said(one) for one in (*bad, *broken, *missed))
    reasons += tuple(f"left behind: {one}" for one in left)
    if aborted and not bad:
        return Verdict.ABORTED, reasons
    if bad:
        return Verdict.FAIL, reasons
    proved = any(one.outcome is Outcome.PASSED and one.area is Area.RECOVERY for one in checks)
    if broken or left or not proved:
        return Verdict.INCONCLUSIVE, reasons or ("nothing was restored",)
    return (Verdict.DEGRADED if missed else Verdict.PASS), reasons


def _unfit(check: Check) -> bool:
    """A copy that was not fenced in, or had nothing to stand on, says nothing of the backup."""
    return check.outcome is Outcome.FAILED and check.area in (Area.FENCE, Area.GROUND)


def _said(check: Check) -> str:
    return f"{check.name}: {check.detail}" if check.detail else check.name
