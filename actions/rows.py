"""rows.purge and rows.sweep_orphans: rows too old, or without a parent, archived and deleted in batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from actions import draft
from actions import row_statements as statements
from actions import row_words as words
from actions.batches import bounds, perform
from actions.draft import Ground
from actions.fact_words import BATCHES
from actions.limits import check_guards
from actions.limits import words as limit_words
from actions.names import show_name
from actions.row_choice import (
    PurgeArgs,
    RowArgs,
    SweepArgs,
    Wanted,
    archive_of,
    columns_of,
    lot_for,
    old_rows,
    orphans,
    shown,
    table_of,
)
from actions.row_statements import POSTGRES, Lot
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Step, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need
from console.engine.row_sites import MOST_COUNTED, counted_there, names_looked_for
from console.model.row_sites import RowSite

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")


class RowWork:
    """What both have in common."""

    name: str
    summary: str
    risk = Risk.HIGH
    flavors = FLAVORS
    lasting: Literal[True] = True

    facts = Facts(
        on={
            "postgresql": On(
                locks="RowExclusiveLock on the table and the archive, and the rows of one batch until it "
                "is committed; rows that others have locked are left for later. `create_archive` makes a "
                "table first",
                rights="`SELECT`, `UPDATE` and `DELETE` on the table, `INSERT` on the archive (`CREATE` on "
                "its schema where it is made); for `rows.sweep_orphans` also `SELECT` on the parent, and "
                "`BYPASSRLS` where row security would hide rows",
            ),
            "mysql": BATCHES,
            "mariadb": BATCHES,
        },
        undo="with `archive` the rows can be put back from it, and the plan has the statement; else nothing",
        risk="medium with `archive`",
    )

    async def _planned(self, on: Ground, args: RowArgs, site: RowSite, wanted: Wanted) -> Plan:
        engine: Engine = on.engine
        unseen = await check_guards(engine, bounds(args))
        archive, create = await archive_of(engine, args, site, on.server)
        lot = lot_for(args, site, wanted, archive, on.server)
        lot = msgspec.structs.replace(lot, search_path=await names_looked_for(engine))
        name = show_name(site.schema, site.name)
        place = statements.counted_place(lot.table, on.server.flavor)
        number = await counted_there(engine, place, lot.where, name)
        rows = min(number, args.limit) if args.limit else number
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk if lot.archive is None else Risk.MEDIUM,
            args=msgspec.to_builtins(args) | ({"before": wanted.cut.isoformat()} if wanted.cut else {}),
            subject={
                "title": wanted.title,
                "lot": msgspec.to_builtins(lot),
                "create": create,
                "rows": number,
            },
            statements=tuple(shown(on.server, lot, create)),
            forecast=(
                *words.forecast(args, number, rows, wanted),
                *await words.examples(engine, lot, site, on.server.flavor),
                *limit_words(bounds(args), patient=0, others=1),
            ),
            warnings=(*wanted.warnings, *words.warnings(site, lot), *unseen),
            refusals=(*wanted.refusals, *words.refusals(site, args, wanted)),
            confirm=lot.archive is None and rows > 0,
            undo=words.undo(on.server, lot),
            observed={f"table {name}": site.number, f"columns of {name}": columns_of(site)},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> str:
        schema, name = lot_of(plan).table
        return f"rows:{schema}.{name}"

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """MySQL's and MariaDB's words; PostgreSQL tells it when it is tried."""
        if plan.server.flavor == POSTGRES:
            return ()
        lot = lot_of(plan)
        found = [Need(schema=lot.table[0], name=lot.table[1], privileges=("SELECT", "DELETE"))]
        if lot.archive is not None:
            more = ("CREATE", "INSERT") if plan.subject["create"] else ("INSERT",)
            found.append(Need(schema=lot.archive[0], name=lot.archive[1], privileges=more))
        return tuple(found)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:  # noqa: ARG002
        return await _verdict(plan, engine, None)

    async def verify_steps(
        self,
        plan: Plan,
        engine: Engine,
        steps: Sequence[Step],
        *,
        patience: float,  # noqa: ARG002 - a batch is committed or not
    ) -> Verdict:
        return await _verdict(plan, engine, steps)

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:
        """The same again, and no more than were asked for: what is gone is not found any more."""
        lot = lot_of(plan)
        place = statements.counted_place(lot.table, plan.server.flavor)
        left = await counted_there(engine, place, lot.where, show_name(*lot.table))
        most, deleted = int(plan.args.get("limit", 0)), int(plan.evidence.get("deleted") or 0)
        if not left or (most and deleted >= most):
            return {}
        return dict(plan.args) | ({"limit": most - deleted} if most else {})


class PurgeRows(RowWork):
    """Old rows go oldest first; what comes meanwhile is newer and stays."""

    name = "rows.purge"
    summary = "delete rows older than a time in batches, archived first where that is asked for"
    Args = PurgeArgs

    async def plan(self, engine: Engine, args: PurgeArgs) -> Plan:
        on = await draft.ground(self, engine)
        site = await table_of(engine, args.table)
        return await self._planned(on, args, site, await old_rows(engine, args, site, on.server))

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform(plan, operator, msgspec.convert(plan.args, PurgeArgs), lot_of(plan))


class SweepOrphans(RowWork):
    name = "rows.sweep_orphans"
    summary = "delete rows whose parent is missing in batches, archived first where that is asked for"
    Args = SweepArgs

    async def plan(self, engine: Engine, args: SweepArgs) -> Plan:
        on = await draft.ground(self, engine)
        site, parent = await table_of(engine, args.table), await table_of(engine, args.parent)
        return await self._planned(on, args, site, orphans(args, site, parent, on.server))

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform(plan, operator, msgspec.convert(plan.args, SweepArgs), lot_of(plan))


def lot_of(plan: Plan) -> Lot:
    return msgspec.convert(plan.subject["lot"], Lot)


# ---- the proof -----------------------------------------------------------------------------------


async def _verdict(plan: Plan, engine: Engine, steps: Sequence[Step] | None) -> Verdict:
    """By the rows that are left, and by what the batches said of themselves."""
    lot = lot_of(plan)
    shown = show_name(*lot.table)
    place = statements.counted_place(lot.table, plan.server.flavor)
    left = await counted_there(engine, place, lot.where, shown)
    deleted, unsure = _told(plan.evidence, steps)
    evidence: dict[str, Any] = {"left": left, "deleted": deleted or 0}
    if left == 0:
        return Verdict(
            state="applied", summary=f"{shown}: no such row is left{_so_many(deleted)}", evidence=evidence
        )
    many = f"more than {MOST_COUNTED:,}" if left > MOST_COUNTED else f"{left:,}"
    if plan.evidence.get("ended") == "limit":
        summary = f"{shown}: {counted(deleted or 0, 'row')} deleted, as many as were asked for; {many} left"
        return Verdict(state="applied", summary=summary, evidence=evidence)
    if unsure and not deleted:
        deleted = max(0, int(plan.subject["rows"]) - left)  # the last word, where the batch's own was lost
        evidence["deleted"] = deleted
    summary = f"{shown}: {many} such rows are left{_so_many(deleted)}"
    return Verdict(state="partial" if deleted else "not_applied", summary=summary, evidence=evidence)


def _so_many(deleted: int | None) -> str:
    return f", {counted(deleted, 'row')} deleted" if deleted else ""


def _told(evidence: dict[str, Any], steps: Sequence[Step] | None) -> tuple[int | None, bool]:
    """(how many rows are known to be deleted, whether a batch said nothing of its end)."""
    if isinstance(evidence.get("deleted"), int):
        return evidence["deleted"], "nobody knows" in str(evidence.get("ended"))
    if steps is None:
        return None, True
    answers = [one.answer for one in steps]
    return sum(int(one) for one in answers if one is not None and one.isdigit()), None in answers
