"""backup.drill: restore a backup into a server of its own, look at all of it, and remove it again.

What restores is imported when it is used: every start of dbdeck loads this module.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec

from actions.drill_choice import Chosen, chosen, sources_of
from actions.fact_words import UNTOUCHED
from actions.session_proof import PartlyRefused
from actions.words import counted
from console.dispatch.action import Past, Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import ActionFailed, Cancelled, UsageError
from console.model.backups import Backup, DrillRule
from console.model.drill_history import DrillRecord, record_of, records
from console.model.drills import Report
from console.model.drills import Verdict as Judged
from console.model.instants import instant
from console.model.target import EngineKind, ServerIdentity
from console.present.units import size, span

_WORST = (Judged.FAIL, Judged.ABORTED, Judged.INCONCLUSIVE, Judged.DEGRADED, Judged.PASS)


class BackupBad(ActionFailed):
    kind = "backup_bad"


class Inconclusive(ActionFailed):
    kind = "inconclusive"


class ObjectiveMissed(PartlyRefused):
    """It restores, and took longer, or is older, than was promised."""


class DrillArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`backup` is a name of `show backups`, the newest unless given. `to_time`: restore as of this time,
    where the source has an archive. `overdue`: each source that was not proved within its cadence.
    """

    source: str = ""
    backup: str = ""
    to_time: str = ""
    overdue: bool = False


class BackupDrill:
    """It needs no connection to the target: the live server may be gone when a backup is wanted."""

    name = "backup.drill"
    summary = "restore a backup into a private server, compare and measure it, remove it"
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    offline: Literal[True] = True
    facts = Facts(on=UNTOUCHED, undo="nothing to undo: what is restored is removed again")
    Args = DrillArgs

    async def plan(self, engine: Engine, args: DrillArgs) -> Plan:
        return await self._planned(engine, args, ())

    async def plan_recalled(self, engine: Engine, args: DrillArgs, past: Past) -> Plan:
        return await self._planned(engine, args, records(await past()))

    async def _planned(self, engine: Engine, args: DrillArgs, past: Sequence[DrillRecord]) -> Plan:
        from console.backups.catalogue import catalogue

        target, rule, now = engine.target, engine.target.drills, datetime.now(UTC)
        to_time = _time_of(args.to_time, now)
        if args.overdue and (args.backup or to_time):
            raise UsageError("overdue=true drills the newest backups as they are; nothing was executed")
        names = sources_of(rule, target.name, args.source, overdue=args.overdue, past=past, now=now)
        found = await catalogue(rule)
        picked = [chosen(rule, found, name, args.backup) for name in names]
        own = [one for one in past if one.target == target.name]
        return Plan(
            action=self.name,
            target=target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={"title": _title(target.name, picked), "drills": [_frozen(one, own) for one in picked]},
            statements=tuple(_statement(one, to_time, rule) for one in picked),
            forecast=tuple(line for one in picked for line in _forecast(one, own, rule)),
            warnings=tuple(_warnings(picked, rule)),
            undo="nothing to undo: what is restored is removed again",
            observed={f"backup {one.name}": f"{one.backup.id} of {one.backup.bytes} bytes" for one in picked},
            likeness="",
            server=of_backups(picked, engine),
            made_at=now,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises BackupBad, Inconclusive, ObjectiveMissed or Cancelled by the worst that was found."""
        from actions.drilling import Drill
        from console.dispatch.lease import sweep

        rule = operator.engine.target.drills
        for left in await asyncio.to_thread(sweep, rule.scratch_folder):
            operator.watch.tell(f"removed {left}, which an earlier drill had left")
        reports: list[Report] = []
        kept: list[dict[str, Any]] = []
        operator.evidence["drills"] = kept
        for one in plan.subject["drills"]:
            drill = Drill(
                one["id"],
                _thawed(one, rule),
                rule,
                operator,
                to_time=_time_of(plan.args.get("to_time", ""), plan.made_at),
                expected=one["phases"],
            )
            report = await drill.run()
            reports.append(report)
            kept.append(await _keep(report, rule, operator))
            if operator.watch.stop.is_set():
                break
        if not reports:
            return Result(matched=False)
        _raise_for(reports)
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:  # noqa: ARG002
        """By the records. A drill without one came to no end: it proved nothing, and its copy is removed."""
        from console.dispatch.lease import sweep

        rule = engine.target.drills
        await asyncio.to_thread(sweep, rule.scratch_folder)
        wanted = [one["id"] for one in plan.subject["drills"]]
        if not wanted:
            return Verdict(state="applied", summary="nothing is overdue", certain=True)
        found = records([{**plan.evidence, "target": plan.target}])
        told = {one.id: one for one in found if one.id in wanted}
        if len(told) < len(wanted):
            said = f"{len(wanted) - len(told)} of {counted(len(wanted), 'drill')} came to no end"
            return Verdict(state="not_applied", summary=f"{said}; nothing of them is left", certain=True)
        worst = min((told[name] for name in wanted), key=lambda one: _WORST.index(one.verdict))
        summary = "; ".join(_said(told[name]) for name in wanted)
        state: Literal["applied", "partial", "not_applied"] = "not_applied"
        if worst.verdict is Judged.PASS:
            state = "applied"
        elif worst.verdict is Judged.DEGRADED:
            state = "partial"
        return Verdict(state=state, summary=summary, certain=True)

    def lock(self, plan: Plan) -> tuple[str, ...]:
        return tuple(f"drill:{one['source']}" for one in plan.subject["drills"])


# ---- the plan -----------------------------------------------------------------------------------------


def _time_of(text: str, now: datetime) -> datetime | None:
    """Raises UsageError for what is no time with a zone, and for the future."""
    if not text:
        return None
    found = instant(text)
    if found is None or not (text.endswith(("Z", "z")) or "+" in text or text.count("-") > 2):
        raise UsageError(
            f"{text!r} is no time with a zone; nothing was executed", "like 2026-11-26T03:00:00Z"
        )
    if found > now:
        raise UsageError(f"{text} is in the future; nothing was executed")
    return found


def _title(target: str, picked: Sequence[Chosen]) -> str:
    if not picked:
        return f"restore drills of {target}: none is overdue"
    return f"restore drill of {target}: {', '.join(f'{one.name} {one.backup.id}'.strip() for one in picked)}"


def _frozen(one: Chosen, past: Sequence[DrillRecord]) -> dict[str, Any]:
    last = next((old for old in past if old.source == one.name and old.phases), None)
    return {
        "id": str(uuid4()),
        "source": one.name,
        "backup": msgspec.to_builtins(one.backup),
        "phases": dict(last.phases) if last else {},
    }


def _thawed(kept: dict[str, Any], rule: DrillRule) -> Chosen:
    source = kept["source"]
    return Chosen(source, rule.sources[source], msgspec.convert(kept["backup"], Backup))


def _statement(one: Chosen, to_time: datetime | None, rule: DrillRule) -> str:
    until = f" as of {to_time.isoformat()}" if to_time else ""
    what = (
        f"{one.backup.path} ({one.source.method})" if one.backup.id else f"{one.source.path}, which is empty"
    )
    return f"restore {what}{until} into a private server below {rule.scratch}, look at it, remove it"


def _forecast(one: Chosen, past: Sequence[DrillRecord], rule: DrillRule) -> list[str]:
    backup = one.backup
    lines = [f"{one.name}: {backup.id or 'no backup'}, {size(backup.bytes)}, taken {_when(backup)}"]
    if backup.manifest:
        lines.append(f"{one.name}: compared with the manifest taken in the backup's own snapshot")
    else:
        lines.append(
            f"{one.name}: no manifest: compared with the live server, which is read for 30 s at most, "
            f"{rule.drift:.0%} of drift allowed"
        )
    last = next((old for old in past if old.source == one.name), None)
    if last is not None:
        lines.append(f"{one.name}: the last drill took {span(last.seconds)} and ended in {last.verdict}")
    return lines


def _when(backup: Backup) -> str:
    return "nobody knows when" if backup.started_at is None else f"{backup.started_at:%Y-%m-%d %H:%M} UTC"


def _warnings(picked: Sequence[Chosen], rule: DrillRule) -> list[str]:
    said = [f"{one.name}: {fault}" for one in picked for fault in one.backup.faults]
    said += [f"{one.name}: {note}" for one in picked for note in one.backup.notes]
    if picked and rule.network == "open":
        said.append("`network: open`: the kernel does not keep the restored server from the network")
    if picked and os.geteuid() == 0:
        said.append("dbdeck is root: the restored server runs as an unprivileged user")
    return said


def of_backups(picked: Sequence[Chosen], engine: Engine) -> ServerIdentity:
    """There is no server to be the same at the end: the backups are frozen instead."""
    backup = next((one.backup for one in picked if one.backup.version), None)
    number = (backup.version or 0) if backup else 0
    flavor = "postgresql" if engine.target.engine is EngineKind.POSTGRES else "mysql"
    if backup is not None and backup.server.lower().startswith("mariadb"):
        flavor = "mariadb"
    told = " ".join(backup.server.split()[1:]) if backup is not None else ""
    return ServerIdentity(
        flavor=flavor,
        version=told or "of an unknown version",
        version_num=number,
        system_id="backups",
        started_at=datetime.fromtimestamp(0, UTC),
        primary=None,
        tls="",
    )


# ---- the end ------------------------------------------------------------------------------------------


async def _keep(report: Report, rule: DrillRule, operator: Operator) -> dict[str, Any]:
    """The report in three forms below the folder of reports, and what the ledger keeps of it."""
    from console.backups.reports import earlier
    from console.present.drill_report import html, markdown

    folder = rule.reports_folder / report.target
    name = f"{report.started_at:%Y%m%dT%H%M%SZ}-{report.source}-{report.id[:8]}"
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    sha256 = hashlib.sha256(encoded.encode()).hexdigest()
    path = folder / f"{name}.json"
    record = record_of(report, str(path), sha256)
    history = await asyncio.to_thread(earlier, folder, report.source)
    try:
        await operator.save(path, encoded, f"the report of drill {report.id}")
        await operator.save(path.with_suffix(".md"), markdown(report), "the same for people")
        await operator.save(path.with_suffix(".html"), html(report, [*history, record]), "the same as a page")
    except ActionFailed as error:
        operator.watch.tell(error.message)
        record = msgspec.structs.replace(record, report="", reasons=(*record.reasons, error.message))
    return dict(msgspec.to_builtins(record))


def _raise_for(reports: Sequence[Report]) -> None:
    worst = min(reports, key=lambda one: _WORST.index(one.verdict))
    if worst.verdict is Judged.PASS:
        return
    message = f"{worst.source}: {worst.verdict}: {'; '.join(worst.reasons[:3]) or 'nothing was proved'}"
    hint = "`dbdeck show drills` has its report"
    kinds: dict[Judged, type[ActionFailed] | type[PartlyRefused]] = {
        Judged.FAIL: BackupBad,
        Judged.ABORTED: Cancelled,
        Judged.INCONCLUSIVE: Inconclusive,
        Judged.DEGRADED: ObjectiveMissed,
    }
    raise kinds[worst.verdict](message, hint)


def _said(one: DrillRecord) -> str:
    times = []
    if one.rto_seconds is not None:
        times.append(f"restored in {span(one.rto_seconds)} of {span(one.rto_target)}")
    if one.rpo_seconds is not None:
        times.append(f"data of {span(one.rpo_seconds)} ago, promised {span(one.rpo_target)}")
    why = f": {one.reasons[0]}" if one.reasons else ""
    return (
        f"{one.source} {one.backup}".strip()
        + f": {one.verdict.upper()}{why}"
        + (f" ({', '.join(times)})" if times else "")
    )
