"""One drill, from the first look at the backup to the removal of what was restored."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from actions.drill_baseline import after_replay, baseline_of
from actions.drill_checks import (
    age_check,
    assertion_check,
    inventory_check,
    objective,
    rows_checks,
)
from actions.drill_choice import Chosen
from actions.restorers import RESTORERS
from actions.restoring import Restored, Restorer, Site, host, room
from console.dispatch.enclosure import Enclosure
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import ActionFailed, Cancelled, DbdeckError, Refused
from console.model.backups import DrillRule, seconds_of
from console.model.drills import (
    RECOVERY_PHASES,
    Area,
    Check,
    Outcome,
    Phase,
    PhaseName,
    Report,
    Verdict,
    judge,
)
from console.model.instants import instant
from console.model.inventory import Baseline, Wanted, of_databases

_NOTHING: Mapping[str, float] = {}


class Drill:
    """One at work. Whatever breaks, there is a report, and nothing of the restored copy is left."""

    def __init__(
        self,
        drill_id: str,
        chosen: Chosen,
        rule: DrillRule,
        operator: Operator,
        *,
        to_time: datetime | None = None,
        expected: Mapping[str, float] = _NOTHING,
    ) -> None:
        """`expected`: how many seconds each phase took when this source was drilled last."""
        self._id = drill_id
        self._chosen = chosen
        self._rule = rule
        self._operator = operator
        self._restorer: Restorer = RESTORERS[chosen.source.method]
        self._began = datetime.now(UTC)
        self._clock = time.monotonic()
        self._aborted = False
        self._baseline: Baseline | None = None
        self._newest: datetime | None = chosen.backup.started_at
        self._commands: tuple[str, ...] = ()
        self._left: tuple[str, ...] = ()
        self._root: Path | None = None
        self._ending = self._clock
        self.site = Site(rule, chosen.source, chosen.backup, operator.watch, expected)
        self.site.to_time = to_time

    async def run(self) -> Report:
        """Never raises for what is wrong with the backup, or with the drill itself."""
        try:
            await self._all()
        except Cancelled as error:
            self._aborted = True
            self._operator.watch.tell(error.message)
        except (ActionFailed, Refused) as error:
            self._broken("the drill", f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        except DbdeckError as error:
            self._broken("the drill", error.message)
        except Exception as error:  # noqa: BLE001 - whatever broke, there is a report
            self._broken("the drill", f"it broke inside: {type(error).__name__}: {error}")
        return self._report()

    def _broken(self, name: str, why: str) -> None:
        self.site.checks.append(Check(area=Area.GROUND, name=name, outcome=Outcome.BROKEN, detail=why))

    async def _all(self) -> None:
        if not await self._precheck():
            return
        base = self._rule.scratch_folder
        closed = self._rule.network == "closed"
        try:
            async with self._operator.enclosure(self._restorer.kind, base, closed=closed) as enclosure:
                self._root = enclosure.root
                try:
                    await self._within(enclosure)
                finally:
                    self._commands = tuple(enclosure.commands)
                    self._ending = time.monotonic()
        finally:
            self._torn_down()

    def _torn_down(self) -> None:
        """The enclosure is closed: is anything left of it?"""
        if self._root is None:
            return
        self.site.phases.append(Phase(name=PhaseName.TEARDOWN, seconds=time.monotonic() - self._ending))
        if self._root.exists():
            self._left = (str(self._root),)

    # ---- before anything is written -----------------------------------------------------------------

    async def _precheck(self) -> bool:
        """Whether it can go on."""
        backup = self._chosen.backup
        async with self.site.phase(PhaseName.PRECHECK):
            if not backup.id:
                self._failed(Area.MEDIA, f"a backup in {self._chosen.source.path}", "; ".join(backup.faults))
                return False
            if backup.faults:
                self._failed(Area.MEDIA, "the backup at first sight", "; ".join(backup.faults), backup.faults)
            self.site.checks.append(age_check(backup, self._rule, self._began))
            found = await self.site.unless_stopped(self._restorer.tools(self.site))
            self.site.checks += found
            if any(one.outcome in (Outcome.BROKEN, Outcome.FAILED) for one in found):
                return False
            room_there = await room(
                self._rule, await self.site.unless_stopped(self._restorer.space(self.site))
            )
            self.site.checks.append(room_there)
            return room_there.outcome is Outcome.PASSED

    def _failed(self, area: Area, name: str, why: str, items: Sequence[str] = ()) -> None:
        self.site.checks.append(
            Check(area=area, name=name, outcome=Outcome.FAILED, detail=why, items=tuple(items))
        )

    # ---- restored ---------------------------------------------------------------------------------------

    async def _within(self, enclosure: Enclosure) -> None:
        site = self.site
        async with site.phase(PhaseName.MEDIA):
            site.checks += await site.unless_stopped(self._restorer.media(site, enclosure))
        restored = await site.unless_stopped(self._restorer.restore(site, enclosure))
        if restored is None:
            return
        site.checks += await site.unless_stopped(self._restorer.fence(site, enclosure, restored))
        if any(one.area is Area.FENCE and one.outcome is Outcome.FAILED for one in site.checks):
            raise ActionFailed("the restored server is not fenced in; it was stopped and removed unread")
        async with site.phase(PhaseName.VERIFY):
            await site.unless_stopped(self._verify(enclosure, restored))
        self._objectives(restored)

    async def _verify(self, enclosure: Enclosure, restored: Restored) -> None:
        engine = await enclosure.reading(restored.target)
        budget = seconds_of(self._rule.budget)
        found = await baseline_of(self._chosen, self._operator.engine, restored.databases, budget)
        self._baseline = after_replay(found, restored.newest, self.site.to_time)
        self.site.baseline = self._baseline
        await self._noted("the inventory", Area.INVENTORY, partial(self._inventories, engine, restored))
        for database in restored.databases:
            await self._noted(f"rows of {database}", Area.ROWS, partial(self._contents, engine, database))
        await self._noted(
            "soundness", Area.INTEGRITY, partial(self._restorer.integrity, self.site, enclosure, restored)
        )
        await self._noted("assertions", Area.ASSERTION, partial(self._assertions, engine, restored))
        await self._noted("freshness", Area.FRESHNESS, partial(self._freshness, engine, restored))

    async def _noted(self, name: str, area: Area, look: Callable[[], Awaitable[Sequence[Check]]]) -> None:
        """The checks of one look, with the time it took; one that breaks stops no other."""
        start = time.monotonic()
        self._operator.watch.tell(f"verify: {name} …")
        try:
            found = list(await look())
        except DbdeckError as error:
            found = [Check(area=area, name=name, outcome=Outcome.BROKEN, detail=error.message)]
        spent = round((time.monotonic() - start) / max(1, len(found)), 3)
        self.site.checks += [
            one if one.seconds else msgspec.structs.replace(one, seconds=spent) for one in found
        ]

    async def _inventories(self, engine: Engine, restored: Restored) -> list[Check]:
        found: list[Check] = []
        for database in (*([""] if restored.whole_cluster else []), *restored.databases):
            expected = self._baseline.inventory(database) if self._baseline else None
            have = await engine.inventory(database)
            if not database and expected is not None and not self._chosen.source.method.physical:
                expected, have = (of_databases(one, restored.databases) for one in (expected, have))
            if database or expected is not None:
                found += inventory_check(expected, have, self._baseline)
        if not restored.whole_cluster:
            why = "this backup holds no roles, users and other objects of the server"
            found.append(
                Check(area=Area.INVENTORY, name="roles and users", outcome=Outcome.SKIPPED, detail=why)
            )
        return found

    async def _contents(self, engine: Engine, database: str) -> list[Check]:
        expected = self._baseline.content(database) if self._baseline else None
        like = expected.tables if expected and self._baseline and self._baseline.exact else ()
        wanted = Wanted(seconds=seconds_of(self._rule.budget), like=like)
        found = await engine.contents(database, wanted)
        physical = self._chosen.source.method.physical
        return rows_checks(self._baseline, found, drift=self._rule.drift, physical=physical)

    async def _assertions(self, engine: Engine, restored: Restored) -> list[Check]:
        found = []
        for one in self._rule.assertions:
            where = one.database or self._usual(restored)
            answer = await engine.ask(where, one.sql, seconds=seconds_of(self._rule.budget))
            found.append(assertion_check(one.name, one.expect, answer))
        return found

    async def _freshness(self, engine: Engine, restored: Restored) -> list[Check]:
        rule = self._rule.freshness
        if rule is None:
            why = "no `freshness` in the config tells which row is the newest"
            return [Check(area=Area.FRESHNESS, name="the newest row", outcome=Outcome.SKIPPED, detail=why)]
        where = rule.database or self._usual(restored)
        answer = await engine.ask(where, rule.sql, seconds=seconds_of(self._rule.budget))
        newest = instant(answer) if answer else None
        if newest is None:
            why = "there is no such row" if answer is None else f"{answer[:60]!r} is no timestamp"
            return [Check(area=Area.FRESHNESS, name="the newest row", outcome=Outcome.FAILED, detail=why)]
        age = (self._began - newest).total_seconds()
        return [objective("age of the newest row", age, seconds_of(self._rule.rpo))]

    def _usual(self, restored: Restored) -> str:
        """Where the config names no database: the target's, of those that were restored."""
        own = self._operator.engine.target.database
        return own if own in restored.databases else restored.databases[0]

    def _objectives(self, restored: Restored) -> None:
        self._newest = restored.newest or self._newest
        if restored.newest is not None and self.site.to_time is None:
            age = (self._began - restored.newest).total_seconds()
            name = f"data lost at a failure now ({restored.newest_from})"
            self.site.checks.append(objective(name, age, seconds_of(self._rule.rpo)))
        self.site.checks.append(
            objective("time to restore and recover", self._rto() or 0.0, seconds_of(self._rule.rto))
        )

    # ---- the end ---------------------------------------------------------------------------------------

    def _rto(self) -> float | None:
        took = [one.seconds for one in self.site.phases if one.name in RECOVERY_PHASES]
        return sum(took) if took else None

    def _report(self) -> Report:
        verdict, reasons = judge(self.site.checks, aborted=self._aborted, left=self._left)
        site = self.site
        rpo = None if self._newest is None else (self._began - self._newest).total_seconds()
        restored = verdict in (Verdict.PASS, Verdict.DEGRADED) or any(
            one.area is Area.RECOVERY and one.outcome is Outcome.PASSED for one in site.checks
        )
        return Report(
            id=self._id,
            action_id=str(self._operator.action_id),
            target=self._operator.engine.target.name,
            source=self._chosen.name,
            backup=self._chosen.backup,
            verdict=verdict,
            reasons=reasons,
            started_at=self._began,
            seconds=time.monotonic() - self._clock,
            phases=tuple(site.phases),
            checks=tuple(site.checks),
            rto_seconds=self._rto() if restored else None,
            rpo_seconds=rpo if restored else None,
            rto_target=seconds_of(self._rule.rto),
            rpo_target=seconds_of(self._rule.rpo),
            to_time=site.to_time,
            baseline=self._baseline.origin if self._baseline else "none",
            tools=dict(site.tools),
            host=host(),
            commands=self._commands,
            left=self._left,
        )
