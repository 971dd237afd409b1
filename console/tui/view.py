"""What is seen of a server now, by the names of reads: what panes hold, and what was looked at on demand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from console.engine.plain import plain
from console.errors import DbdeckError
from console.model.instants import steady_now
from console.present.reads import READS
from console.present.runbooks import not_seen
from console.runbook.suggesting import BESIDE
from console.runbook.values import UNKNOWN

if TYPE_CHECKING:
    from console.engine.port import Engine
    from console.model.reading import Reading
    from console.tui.panes.pane import Pane

FRESH_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 15.0


Seen = tuple[datetime, list[dict[str, Any]]]


class View:
    """Older than two minutes is not now: it is not known then. `missed` are reads that failed."""

    def __init__(self) -> None:
        self._looked: dict[str, Seen] = {}
        self._rows: dict[str, Seen] = {}
        self.missed: dict[str, str] = {}

    def forget(self) -> None:
        """What was looked at is of another server than the one that answers now."""
        self._looked.clear()
        self._rows.clear()

    async def seen(self, panes: Mapping[str, Pane[Any, Any]], names: set[str]) -> dict[str, Any]:
        """Rows of each name, UNKNOWN where there are none that are fresh; reads nothing.

        A storm has thousands of rows: they are made beside the loop, so that no key-press waits for them.
        """
        now = steady_now()
        found: dict[str, Any] = dict.fromkeys((*READS, *BESIDE), UNKNOWN)
        for name in names & READS.keys():
            pane, looked = panes.get(name), self._looked.get(name)
            held = await asyncio.to_thread(self._of, pane, pane.reading) if pane is not None else None
            newest = max(filter(None, (held, looked)), key=_when, default=None)
            if newest is not None and (now - _when(newest)).total_seconds() < FRESH_SECONDS:
                found[name] = newest[1]
        watching = panes.get("locks")
        if watching is not None and watching.reading.taken_at is not None:
            problem = watching.reading.problem
            found["trouble"] = problem.kind if problem is not None else ""
        return found

    def _of(self, pane: Pane[Any, Any], reading: Reading[Any]) -> Seen | None:
        """Made anew only for another reading."""
        if reading.data is None or reading.taken_at is None:
            return None
        kept = self._rows.get(pane.name_of_subject)
        if kept is None or _when(kept) != reading.taken_at:
            rows = plain(pane.document(reading.data)["rows"])
            kept = self._rows[pane.name_of_subject] = (reading.taken_at, rows)
        return kept

    async def glance(self, engine: Engine) -> None:
        """Lag and a disk that fills, which no pane shows. Nothing is told where it fails."""
        with contextlib.suppress(TimeoutError, DbdeckError):
            async with asyncio.timeout(LOOK_SECONDS):
                self._looked["health"] = (steady_now(), await READS["health"](engine))

    async def look(self, engine: Engine, names: set[str]) -> str:
        """Each read once; what it came to, in a sentence."""
        self.missed = {}
        for name in sorted(names & READS.keys()):
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    self._looked[name] = (steady_now(), await READS[name](engine))
            except TimeoutError:
                self.missed[name] = f"no answer in {LOOK_SECONDS:g} s"
            except DbdeckError as error:
                self.missed[name] = error.message
        if self.missed:
            return f"not known: {not_seen(self.missed)}"
        return "looked at all that suggestions rest on"


def _when(seen: Seen) -> datetime:
    return seen[0]
