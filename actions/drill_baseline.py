"""What a restored copy is compared with: the manifest beside the backup, else the live server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from actions.drill_choice import Chosen
from console.backups import manifest
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.inventory import Baseline, Contents, Inventory, Wanted

LIVE_SECONDS = 30.0  # a live server is not to be read for longer


async def baseline_of(
    chosen: Chosen, live: Engine, databases: Sequence[str], seconds: float
) -> Baseline | None:
    """None where there is no manifest, and the live server does not answer.

    Raises ActionFailed for a manifest that cannot be read.
    """
    kept = await asyncio.to_thread(manifest.read, Path(chosen.backup.path))
    return kept.baseline if kept is not None else await _of_live(live, databases, seconds)


def after_replay(
    baseline: Baseline | None, newest: datetime | None, to_time: datetime | None
) -> Baseline | None:
    """A baseline taken in a backup tells nothing exactly of what was replayed since."""
    if baseline is None or not baseline.exact:
        return baseline
    if to_time is None and (newest is None or newest <= baseline.taken_at):
        return baseline
    origin = f"{baseline.origin}, and what was replayed since"
    return msgspec.structs.replace(baseline, exact=False, origin=origin)


async def _of_live(live: Engine, databases: Sequence[str], seconds: float) -> Baseline | None:
    inventories: list[Inventory] = []
    contents: list[Contents] = []
    try:
        there = await live.databases()
        inventories.append(await live.inventory(""))
        wanted = Wanted(seconds=min(seconds, LIVE_SECONDS) / max(1, len(databases)))
        for database in [one for one in databases if one in there]:
            inventories.append(await live.inventory(database))
            contents.append(await live.contents(database, wanted))
    except DbdeckError:
        return None
    now = datetime.now(UTC)
    return Baseline(
        exact=False,
        taken_at=now,
        origin=f"the live server at {now:%H:%M} UTC",
        inventories=tuple(inventories),
        contents=tuple(contents),
    )
