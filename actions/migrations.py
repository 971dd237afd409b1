"""migration.rehearse: run a migration on a restored backup, and see what it does before it is done.

What restores is imported when it is used: every start of dbdeck loads this module.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec

from actions.drill_choice import Chosen, chosen, sources_of
from actions.drills import Inconclusive, of_backups
from actions.fact_words import UNTOUCHED
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import ActionFailed, Cancelled
from console.model.backups import Backup, DrillRule
from console.model.drills import Verdict as Judged
from console.model.rehearsals import Rehearsal, Script, Stretch
from console.present.units import size, span

_KEPT_LOCKS = 20


class MigrationBad(ActionFailed):
    """It stopped with an error, or what is to lead back does not."""

    kind = "migration_bad"


class MigrationArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`up` and `down` are paths of scripts. `backup` is a name of `show backups`, the newest of its source
    unless given. `database`: the target's unless given. `apart`: run as it stands even where a script could
    run as one transaction (PostgreSQL).
    """

    up: str
    down: str = ""
    source: str = ""
    backup: str = ""
    database: str = ""
    apart: bool = False


class RehearseMigration:
    """It needs no connection to the target: what it runs on is a backup."""

    name = "migration.rehearse"
    summary = "run a migration up and down on a restored backup: times, locks, changes, and the way back"
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    offline: Literal[True] = True
    facts = Facts(on=UNTOUCHED, undo="nothing to undo: what is restored is removed again")
    Args = MigrationArgs

    async def plan(self, engine: Engine, args: MigrationArgs) -> Plan:
        from actions.migrating import read_script
        from console.backups.catalogue import catalogue

        target, rule, now = engine.target, engine.target.drills, datetime.now(UTC)
        up = await asyncio.to_thread(read_script, args.up)
        down = await asyncio.to_thread(read_script, args.down) if args.down else None
        (name,) = sources_of(rule, target.name, args.source, overdue=False, past=(), now=now)
        picked = chosen(rule, await catalogue(rule), name, args.backup)
        backup = picked.backup
        scripts = [one for one in (up, down) if one is not None]
        return Plan(
            action=self.name,
            target=target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={
                "title": f"rehearsal of {up.path} on {name} {backup.id}".strip(),
                "id": str(uuid4()),
                "source": name,
                "backup": msgspec.to_builtins(backup),
                "up": msgspec.to_builtins(up),
                "down": msgspec.to_builtins(down),
            },
            statements=tuple(_statements(picked, scripts, rule)),
            forecast=(f"{backup.id or 'no backup'}, {size(backup.bytes)}, {_age(backup, now)}",),
            warnings=tuple(_warnings(picked, down)),
            undo="nothing to undo: what is restored is removed again",
            observed={
                f"backup {name}": f"{backup.id} of {backup.bytes} bytes",
                **{one.path: one.sha256 for one in scripts},
            },
            server=of_backups([picked], engine),
            made_at=now,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises MigrationBad, Inconclusive or Cancelled by what was found."""
        from actions.migrating import Migration, Wish
        from console.dispatch.lease import sweep

        rule = operator.engine.target.drills
        for left in await asyncio.to_thread(sweep, rule.scratch_folder):
            operator.watch.tell(f"removed {left}, which an earlier drill had left")
        subject = plan.subject
        source = subject["source"]
        picked = Chosen(source, rule.sources[source], msgspec.convert(subject["backup"], Backup))
        down = subject["down"]
        wish = Wish(
            up=msgspec.convert(subject["up"], Script),
            down=None if down is None else msgspec.convert(down, Script),
            database=plan.args.get("database", ""),
            apart=plan.args.get("apart", False),
        )
        report = await Migration(subject["id"], picked, wish, rule, operator).run()
        operator.evidence["rehearsal"] = await _keep(report, rule, operator)
        _raise_for(report)
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:  # noqa: ARG002
        """By the record. A rehearsal without one came to no end: its copy is removed."""
        from console.dispatch.lease import sweep

        await asyncio.to_thread(sweep, engine.target.drills.scratch_folder)
        kept = plan.evidence.get("rehearsal")
        if not isinstance(kept, dict) or kept.get("id") != plan.subject["id"]:
            summary = "the rehearsal came to no end; nothing of it is left"
            return Verdict(state="not_applied", summary=summary, certain=True)
        state: Literal["applied", "not_applied"] = (
            "applied" if kept["verdict"] == Judged.PASS else "not_applied"
        )
        return Verdict(state=state, summary=str(kept["summary"]), certain=True)

    def lock(self, plan: Plan) -> tuple[str, ...]:
        return (f"rehearsal:{plan.subject['up']['path']}",)


def _statements(picked: Chosen, scripts: list[Script], rule: DrillRule) -> list[str]:
    where = f"{picked.backup.path} ({picked.source.method})"
    runs = [f"run {one.path} on it" for one in scripts]
    return [f"restore {where} into a private server below {rule.scratch}", *runs, "remove it"]


def _age(backup: Backup, now: datetime) -> str:
    if backup.started_at is None:
        return "taken nobody knows when"
    return f"taken {span((now - backup.started_at).total_seconds())} ago"


def _warnings(picked: Chosen, down: Script | None) -> list[str]:
    said = [f"{picked.name}: {fault}" for fault in picked.backup.faults]
    if down is None:
        said.append("there is no down=: what leads back is not rehearsed")
    if os.geteuid() == 0:
        said.append("dbdeck is root: the restored server and its client run as an unprivileged user")
    return said


async def _keep(report: Rehearsal, rule: DrillRule, operator: Operator) -> dict[str, Any]:
    """The report in two forms below the folder of reports, and what the ledger keeps of it."""
    from console.present.rehearsal_report import rehearsal_markdown

    folder = rule.reports_folder / report.target / "migrations"
    path = folder / f"{report.started_at:%Y%m%dT%H%M%SZ}-{report.id[:8]}.json"
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    kept: dict[str, Any] = {
        "id": report.id,
        "verdict": report.verdict,
        "summary": _summary(report),
        "reasons": list(report.reasons),
        "backup": report.backup.id,
        "database": report.database,
        "up": _told(report.up),
        "down": _told(report.down),
        "report": str(path),
        "sha256": hashlib.sha256(encoded.encode()).hexdigest(),
    }
    try:
        await operator.save(path, encoded, f"the report of rehearsal {report.id}")
        await operator.save(path.with_suffix(".md"), rehearsal_markdown(report), "the same for people")
    except ActionFailed as error:
        operator.watch.tell(error.message)
        kept |= {"report": "", "reasons": [*report.reasons, error.message]}
    return kept


def _told(stretch: Stretch | None) -> dict[str, Any] | None:
    if stretch is None:
        return None
    blocking = [one for one in stretch.locks if one.keeps.endswith("writes")]
    return {
        "path": stretch.script.path,
        "sha256": stretch.script.sha256,
        "seconds": stretch.seconds,
        "error": stretch.error,
        "line": stretch.line,
        "one_transaction": stretch.one_transaction,
        "blocks": [msgspec.to_builtins(one) for one in blocking[:_KEPT_LOCKS]],
        "rewritten": list(stretch.rewritten[:_KEPT_LOCKS]),
    }


def _summary(report: Rehearsal) -> str:
    parts = [
        f"{name} {span(stretch.seconds)}"
        for name, stretch in (("up", report.up), ("down", report.down))
        if stretch is not None
    ]
    why = f": {report.reasons[0]}" if report.reasons else ""
    return f"{report.verdict.upper()}{why}" + (f" ({', '.join(parts)})" if parts else "")


def _raise_for(report: Rehearsal) -> None:
    if report.verdict is Judged.PASS:
        return
    message = f"{report.verdict}: {'; '.join(report.reasons[:3])}"
    kinds: dict[Judged, type[ActionFailed]] = {Judged.FAIL: MigrationBad, Judged.ABORTED: Cancelled}
    raise kinds.get(report.verdict, Inconclusive)(message, "the report below `drills.reports` has all of it")
