"""A screen that suggests runbooks by what its panes see."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType

from console.tui.messages import LookWanted, RunbookWanted, Told
from console.tui.panes.pane import Pane
from console.tui.screens.starting import StartingScreen

if TYPE_CHECKING:
    from console.model.target import ServerIdentity
    from console.present.runbooks import Shelf
    from console.runbook.document import Document
    from console.runbook.suggesting import Suggested
    from console.tui.view import View


class GuidedScreen(StartingScreen):
    """Once a minute lag and disk are looked at, which no pane shows; nothing else is read for a suggestion,
    unless somebody asks for a look.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "suggested", "Open the runbook for what is seen", id="runbooks.suggested"),
    ]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._identity: ServerIdentity | None = None

    @cached_property
    def _view(self) -> View:
        from console.tui.view import View

        return View()

    @property
    def pane(self) -> Pane[Any, Any]:
        """The one in view."""
        raise NotImplementedError

    # ---- suggestions ------------------------------------------------------------------------------

    @property
    def flavor(self) -> str:
        return self._identity.flavor if self._identity is not None else ""

    async def suggestions(self) -> list[Suggested]:
        """Of the runbooks that are for this server; none while it is not known."""

        from console.runbook.params import supports
        from console.runbook.runner import facts
        from console.runbook.suggesting import suggested, wanted

        books = await self._desk.runs.bookcase.books()
        server = self._identity
        if server is None:
            return []
        documents = [
            document
            for document, _ in books.documents
            if document.id not in books.wrong and supports(document, server.flavor, server.version_num)
        ]
        panes = {pane.name_of_subject: pane for pane in self.query(Pane)}
        names = {**await self._view.seen(panes, wanted(documents)), **facts(self.target, server)}
        return await asyncio.to_thread(suggested, documents, names)

    async def shelf(self) -> Shelf:
        """The library; without a ledger no last runs, which reading needs not."""

        from console.present.runbooks import Server, shelf

        books = await self._desk.runs.bookcase.books()
        found = {one.runbook: one for one in await self.suggestions()}
        runs = await self._desk.runs.lately()
        server = self._identity
        known = Server(server.flavor, server.version_num, server.label) if server else None
        made = shelf(books, found, runs, known, datetime.now(UTC))
        return msgspec.structs.replace(made, unseen=dict(self._view.missed))

    @work(exclusive=True, group="suggested")
    async def action_suggested(self) -> None:
        """The one for what is in view; of several one is chosen."""

        from console.tui.screens.choose_runbook import ChooseRunbook

        found = await self.suggestions()
        mine = [one for one in found if self.pane.name_of_subject in one.reads] or found
        if not mine:
            self.post_message(
                Told("what is seen now suggests no runbook; 6 has them all, / searches by symptom")
            )
            return
        name = mine[0].runbook
        if len(mine) > 1:
            chosen = await self.app.push_screen_wait(ChooseRunbook(mine))
            if chosen is None:
                return
            name = chosen
        else:
            self.post_message(Told(f"{name} is suggested: {mine[0].text}"))
        given = next(one.given for one in mine if one.runbook == name)
        document = (await self._desk.runs.bookcase.library()).get(name).document
        self.post_message(RunbookWanted(name, {**session_of(document, self._here()), **given}))

    def _here(self) -> dict[str, Any] | None:
        """The row under the cursor, as a document has it."""

        from console.engine.plain import plain

        item = self.pane.current
        row = None if item is None else self.pane.here(item)
        return None if row is None else dict(plain(row))

    @work(exclusive=True, group="glance")
    async def glance(self) -> None:
        """Not while nothing is polled, nor while the server does not answer."""
        if not self.pane.paused and not self.pane.reading.stale:
            await self._view.glance(self._engine)

    def on_look_wanted(self, event: LookWanted) -> None:  # noqa: ARG002 - Textual's signature
        self._look_around()

    @work(exclusive=True, group="look")
    async def _look_around(self) -> None:
        """On demand only: some of these reads are not cheap."""

        from console.present.reads import READS
        from console.runbook.suggesting import wanted

        books = await self._desk.runs.bookcase.books()
        names = wanted(document for document, _ in books.documents)
        self.post_message(Told(f"looking at {', '.join(sorted(names & READS.keys())) or 'nothing'} …"))
        told = await self._view.look(self._engine, names)
        self.post_message(Told(told, bad=bool(self._view.missed)))
        self.pane.again()

    def runbooks(self) -> list[tuple[str, str]]:
        """Those of the library that are for this server, by id with their titles, for the palette."""

        from console.runbook.params import supports

        server = self._identity
        return [
            (one.id, one.document.title)
            for one in self._desk.runs.bookcase.loaded
            if server is None or supports(one.document, server.flavor, server.version_num)
        ]


def session_of(document: Document, here: Mapping[str, Any] | None) -> dict[str, object]:
    """The session under the cursor, for the first param that is one."""

    from console.runbook.document import ParamType

    session = here.get("session") if here is not None else None
    if not isinstance(session, dict) or session.get("started_at") is None:
        return {}
    name = next((name for name, one in document.params.items() if one.type is ParamType.SESSION), None)
    return {} if name is None else {name: {"id": session["id"], "started_at": session["started_at"]}}
