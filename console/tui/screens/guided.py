"""A screen from which runbooks are suggested, started and opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from textual import work
from textual.binding import Binding, BindingType

from console.engine.open import whoami
from console.errors import DbdeckError, Locked
from console.model.target import ServerIdentity
from console.present.plan import Said
from console.present.runbooks import Server, Shelf, shelf
from console.present.table import Tone
from console.present.units import clean
from console.runbook.document import Document, ParamType
from console.runbook.params import supports, value_of
from console.runbook.runner import Order, facts
from console.runbook.suggesting import Suggested, suggested, wanted
from console.tui.messages import RunbookWanted, RunWanted, Told
from console.tui.runs import LiveRun, SeenRun
from console.tui.screens.acting import ActingScreen
from console.tui.screens.choose_runbook import ChooseRunbook
from console.tui.screens.form import Field, FormScreen
from console.tui.screens.run import RunScreen
from console.tui.screens.run_plan import RunPlanScreen


class GuidedScreen(ActingScreen):
    """`seen_now` is what the panes know by the names of reads; nothing is read for a suggestion."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "suggested", "Open the runbook for what is seen", id="runbooks.suggested"),
    ]
    _identity: ServerIdentity | None = None

    # ---- to be filled in ------------------------------------------------------------------------

    def seen_now(self, names: set[str]) -> dict[str, Any]:
        """What is known of these names now; UNKNOWN where nobody looked, or too long ago."""
        raise NotImplementedError

    def unseen(self) -> Mapping[str, str]:
        """What was looked at for suggestions and could not be read, with why."""
        raise NotImplementedError

    def in_view(self) -> tuple[str, dict[str, Any] | None]:
        """The read that is looked at, and its row under the cursor."""
        raise NotImplementedError

    # ---- suggestions ------------------------------------------------------------------------------

    async def suggestions(self) -> list[Suggested]:
        """Of the runbooks that are for this server; none while it is not known."""
        books = await self._desk.runs.bookcase.books()
        server = self._identity
        if server is None:
            return []
        documents = [
            document
            for document, _ in books.documents
            if document.id not in books.wrong and supports(document, server.flavor, server.version_num)
        ]
        names = {**self.seen_now(wanted(documents)), **facts(self.target, server)}
        return suggested(documents, names)

    async def shelf(self) -> Shelf:
        """The library; without a ledger no last runs, which reading needs not."""
        books = await self._desk.runs.bookcase.books()
        found = {one.runbook: one for one in await self.suggestions()}
        try:
            runs = await self._desk.runs.recent()
        except DbdeckError:
            runs = []
        server = self._identity
        known = Server(server.flavor, server.version_num, server.label) if server else None
        made = shelf(books, found, runs, known, datetime.now(UTC))
        return msgspec.structs.replace(made, unseen=dict(self.unseen()))

    @work(exclusive=True, group="suggested")
    async def action_suggested(self) -> None:
        """The one for what is in view; of several one is chosen."""
        read, here = self.in_view()
        found = await self.suggestions()
        mine = [one for one in found if read in one.reads] or found
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
        given = next(one.given for one in mine if one.runbook == name)
        document = (await self._desk.runs.bookcase.library()).get(name).document
        self.post_message(RunbookWanted(name, {**_session(document, here), **given}))

    # ---- starting -----------------------------------------------------------------------------------

    def start_refusal(self) -> str:
        """Why no run can be started now, before anything is asked."""
        if self._desk.dispatcher is None:
            return "the audit ledger is not open: nothing can be recorded, so nothing can be started"
        return ""

    def on_runbook_wanted(self, event: RunbookWanted) -> None:
        why = self.start_refusal()
        if why:
            self.post_message(Told(f"{event.name}: {why}", bad=True))
        elif not self._deciding:
            self._deciding = self.asking = True
            self._start_run(event.name, event.given)

    @work(group="runbooks")
    async def _start_run(self, name: str, given: Mapping[str, object]) -> None:
        """Params, plan, start. What goes wrong before the first row of the run ends here, with its reason."""
        try:
            live = await self._started(name, given)
        except Locked as error:
            self._not_started(name, error)
            await self._offer_to_follow(error)
        except DbdeckError as error:
            self._not_started(name, error)
            self._show(f"{name}: nothing was started", _failed(error))
        else:
            if live is None:
                self._not_started(name)
            else:
                await self._opened(live)
        finally:
            self._deciding = self.asking = False

    def _not_started(self, name: str, error: DbdeckError | None = None) -> None:
        why = f": {clean(error.message)}" if error else ""
        self.post_message(Told(f"{name}: nothing was started{why}", bad=error is not None))

    async def _started(self, name: str, given: Mapping[str, object]) -> LiveRun | None:
        runs = self._desk.runs
        document = (await runs.bookcase.library()).get(name).document
        texts = await self.app.push_screen_wait(_form(document, given, self.target.name))
        if texts is None:
            return None
        order = Order(reason=texts.pop("reason-"), ticket=texts.pop("ticket-"), by=whoami())
        params = {key: text for key, text in texts.items() if text}
        planning = asyncio.create_task(runs.planned(name, params, order, self._engine))
        try:
            head = _head(document, self.target.name, order)
            begins = await self.app.push_screen_wait(RunPlanScreen(name, head, planning))
        finally:
            planning.cancel()
        if begins is None:
            return None
        return await self._unlocking(partial(runs.begin, begins, order, self._engine))

    async def _offer_to_follow(self, locked: Locked) -> None:
        """The run in the way, where the ledger has one on this target that has not ended."""
        try:
            found = [
                one
                for one in await self._desk.runs.recent()
                if one.run.ended is None and one.run.started.target == self.target.name
            ]
        except DbdeckError:
            found = []
        if not found:
            self._show("nothing was started", _failed(locked))
            return
        begins = found[0].run.started
        text = f"{locked.message}. {begins.runbook} of {begins.by} on {begins.target} has not ended."
        offered = [Suggested(runbook=begins.run, text=f"follow {begins.runbook}, by {begins.by}")]
        if await self.app.push_screen_wait(ChooseRunbook(offered, clean(text, 500))) is not None:
            self.on_run_wanted(RunWanted(begins.run))

    # ---- looking at runs --------------------------------------------------------------------------

    def on_run_wanted(self, event: RunWanted) -> None:
        self._open_run(UUID(event.run))

    @work(exclusive=True, group="open-run")
    async def _open_run(self, run: UUID) -> None:
        try:
            await self._opened(await self._desk.runs.seen(run))
        except DbdeckError as error:
            self.post_message(Told(f"the run cannot be shown: {error.message}", bad=True))

    async def _opened(self, seen: SeenRun) -> None:
        if isinstance(self.app.screen, RunScreen):
            return
        try:
            target = self._desk.runs.target_of(seen.run.started)
        except DbdeckError:
            target = None
        screen = RunScreen(self._desk, seen, target, self._taken_over)
        self.app.push_screen(screen, lambda _: self.acted())

    async def _taken_over(self, run: UUID) -> LiveRun:
        return await self._unlocking(partial(self._desk.runs.take_over, run))

    def runbooks(self) -> list[tuple[str, str]]:
        """Those of the library by id with their titles, for the palette."""
        return [(one.id, one.document.title) for one in self._desk.runs.bookcase.loaded]

    def live_runs(self) -> dict[str, str]:
        return {str(one.id): one.state for one in self._desk.runs.live.values()}


def _head(document: Document, target: str, order: Order) -> Said:
    ticket = f", {order.ticket}" if order.ticket else ""
    return [
        (Tone.NOTICE, clean(f"{document.title} ({document.id}) on {target}, risk {document.risk}")),
        (Tone.MUTED, clean(f"{order.by}: {order.reason}{ticket}", 500)),
        (Tone.NORMAL, ""),
    ]


def _failed(error: DbdeckError) -> Said:
    said: Said = [(Tone.BAD, clean(error.message, 2000))]
    return [*said, (Tone.NOTICE, clean(error.hint, 2000))] if error.hint else said


def _session(document: Document, here: Mapping[str, Any] | None) -> dict[str, object]:
    """The session under the cursor, for the first param that is one."""
    session = here.get("session") if here is not None else None
    if not isinstance(session, dict) or session.get("started_at") is None:
        return {}
    name = next((name for name, one in document.params.items() if one.type is ParamType.SESSION), None)
    return {} if name is None else {name: {"id": session["id"], "started_at": session["started_at"]}}


def _form(document: Document, given: Mapping[str, object], target: str) -> FormScreen:
    """Each param as text, as the command line would have it; then why, which is recorded."""
    fields = [
        Field(
            name,
            _label(name, document),
            _as_text(given.get(name, param.default)),
            partial(_wrong, document, name),
        )
        for name, param in document.params.items()
    ]
    fields += [
        Field(
            "reason-",
            "reason (recorded in the ledger)",
            check=lambda text: "" if text else "a reason is needed",
        ),
        Field("ticket-", "ticket (optional)"),
    ]
    title = f"{document.id} on {target}"
    return FormScreen(title, clean(document.summary or document.title, 600), fields, "shows the plan")


def _label(name: str, document: Document) -> str:
    param = document.params[name]
    kinds = [str(param.type)]
    kinds += [" | ".join(param.values)] if param.values else []
    kinds += ["required"] if param.required else []
    kinds += [f"from {_bound(param.least)}"] if param.least is not None else []
    kinds += [f"to {_bound(param.most)}"] if param.most is not None else []
    return clean(f"{name} ({', '.join(kinds)})  {param.help}", 300)


def _bound(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{value['id']}@{value['started_at']}"
    return "" if value is None else str(value)


def _wrong(document: Document, name: str, text: str) -> str:
    param = document.params[name]
    if not text:
        return "it is required" if param.required else ""
    try:
        value_of(name, param, text)
    except DbdeckError as error:
        return error.message.partition("; nothing was started")[0]
    return ""
