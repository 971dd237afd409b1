"""The Jobs view: what was started in this console, what runs and what came of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.message import Message

from console.model.instants import steady_now
from console.model.jobs import Job
from console.present import jobs
from console.present.table import Line
from console.tui.messages import RunWanted
from console.tui.panes.pane import Pane
from console.tui.widgets.bars import Key


class JobsPane(Pane[Sequence[Job], Job]):
    """Enter shows the result again; of a runbook its run."""

    name_of_subject = "jobs"
    title = "Jobs"
    columns = jobs.COLUMNS
    empty = jobs.EMPTY
    of_server = False

    def items_of(self, data: Sequence[Job]) -> Sequence[Job]:
        return jobs.newest_first(data)

    def lines(self, data: Sequence[Job]) -> list[Line]:
        return jobs.lines(self.items_of(data), steady_now())

    def key_of(self, item: Job) -> str:
        return str(item.number)

    def summary(self, data: Sequence[Job]) -> str:
        return jobs.summary(data)

    def details(self, item: Job) -> str:
        return jobs.details(item)

    def document(self, data: Sequence[Job]) -> dict[str, Any]:
        return {"rows": jobs.document(data)}

    def keys(self) -> list[Key]:
        return [Key("Enter", "select", "its result", short="result")]

    def opened(self, item: Job) -> Message | None:
        return RunWanted(item.run) if item.run else None

    def action_select(self) -> None:
        self.grid.action_select()
