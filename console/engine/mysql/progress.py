"""How far long work is: MySQL's stages and clones, MariaDB's list of threads, rollbacks on both.

MySQL manual 17.16.1 "Monitoring ALTER TABLE Progress" and 7.6.7.10 "Monitoring Cloning Operations";
MariaDB "Progress Reporting".
"""

from __future__ import annotations

import time

from console.engine.mysql import progress_rows as to
from console.engine.mysql import rows as session_rows
from console.engine.mysql.checks import SCHEMA_ON
from console.engine.mysql.graph import lock_tree
from console.engine.mysql.link import Link
from console.engine.mysql.look import Seen, look_at_all
from console.errors import PrivilegeMissing
from console.model.progress import Pace, ProgressReport


class ProgressReader:
    """Remembers how far each piece of work was, and how much each rollback had to undo."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._pace = Pace()
        self._undo: dict[int, int] = {}

    async def progress(self) -> ProgressReport:
        """Raises PrivilegeMissing rather than leave somebody out."""
        seen = await look_at_all(self._link)
        self._undo = to.to_undo(seen.transactions, self._undo)
        reports, notes = await self._reports(seen)
        work = to.work(seen, reports, self._undo)
        waits, more = await self._waits(seen, {one.session for one in work})
        known = self._pace.feed(to.waiting(work, waits), time.monotonic())
        return ProgressReport(work=known, notes=(*notes, *more))

    async def _reports(self, seen: Seen) -> tuple[list[to.Report], tuple[str, ...]]:
        if seen.identity.flavor == "mariadb":
            rows = await self._link.fetch("thread_progress", "progress")
            return to.of_threads(rows), to.ambiguous(rows)
        if seen.waitless is not None:
            return [], (f"nobody can see how far statements are: {SCHEMA_ON}",)
        state = (await self._link.fetch("stage_instruments", "stages"))[0]
        found = [to.of_stage(row) for row in await self._link.fetch("stages", "stages")]
        if state["clone"]:
            found += [to.of_clone(row) for row in await self._link.fetch("clone_progress", "clones")]
        return found, tuple(to.switched_off(state))

    async def _waits(
        self, seen: Seen, working: set[int]
    ) -> tuple[dict[int, tuple[int, ...]], tuple[str, ...]]:
        """Whom those who work wait for; the lock table is read only where one of them waits."""
        if not any(one.id in working and session_rows.waits_for_lock(one) for one in seen.sessions):
            return {}, ()
        try:
            tree = await lock_tree(self._link, seen)
        except PrivilegeMissing as missing:
            return {}, (f"whom statements wait for is unknown: {missing.hint}",)
        return {node.session.id: node.blocked_by for node in tree if node.edge}, ()
