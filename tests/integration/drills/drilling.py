"""A drill without its report: a backup of a real server restored in an enclosure, and what it found."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from actions.restorers import RESTORERS
from actions.restoring import Restored, Restorer, Site
from console.backups.catalogue import FINDERS
from console.dispatch.action import Watch
from console.dispatch.enclosure import Enclosure, enclosure
from console.engine.port import Row, Statement
from console.model.backups import Backup, DrillRule, Source
from console.model.drills import Check, Outcome
from tests.servers import places


class Drilled(NamedTuple):
    """`restored` None: it could not be. The server is up as long as the block of `drilled` lasts."""

    site: Site
    enclosure: Enclosure
    restorer: Restorer
    restored: Restored | None
    media: Sequence[Check]

    @property
    def checks(self) -> list[Check]:
        return [*self.media, *self.site.checks]

    def failed(self) -> list[Check]:
        return [one for one in self.checks if one.outcome is Outcome.FAILED]

    def broken(self) -> list[Check]:
        return [one for one in self.checks if one.outcome is Outcome.BROKEN]

    async def fenced(self) -> list[Check]:
        """Those checks of the fence that it did not pass."""
        assert self.restored is not None
        found = await self.restorer.fence(self.site, self.enclosure, self.restored)
        return [one for one in found if one.outcome is not Outcome.PASSED]

    async def ask(self, sql: str, database: str = "") -> list[Row]:
        assert self.restored is not None
        target = self.restored.target
        if database:
            target = msgspec.structs.replace(target, database=database)
        return await self.enclosure.execute(target, Statement(sql=sql, shown=sql), timeout=30)


def rule(source: Source, binaries: Path | None = None) -> DrillRule:
    return DrillRule(sources={"s": source}, binaries=str(binaries) if binaries else None)


async def found(source: Source) -> dict[str, Backup]:
    """By their ids."""
    return {one.id: one for one in await FINDERS[source.method]("s", source, rule(source))}


async def _unrecorded(shown: Sequence[str], seconds: float | None) -> None:
    """There is no ledger in these tests."""


@asynccontextmanager
async def drilled(
    source: Source,
    name: str,
    binaries: Path | None = None,
    *,
    to_time: datetime | None = None,
    watch: Watch | None = None,
) -> AsyncIterator[Drilled]:
    """As the drill does it: tools, media, restore."""
    await places.fence()
    backup = (await found(source))[name]
    site = Site(rule(source, binaries), source, backup, watch or Watch())
    site.to_time = to_time
    restorer = RESTORERS[source.method]
    base = Path(tempfile.gettempdir())
    async with enclosure(restorer.kind, base, _unrecorded, closed=True) as made:
        media = list(await restorer.tools(site))
        restored = None
        if not any(one.outcome is Outcome.BROKEN for one in media):
            media += await restorer.media(site, made)
            restored = await restorer.restore(site, made)
        yield Drilled(site, made, restorer, restored, media)
    assert not await asyncio.to_thread(made.root.exists)
