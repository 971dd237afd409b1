"""`runbook`: the library, checking documents, the tree before a run, running, and going on with a run."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from console.cli import output
from console.cli.act import planned
from console.cli.context import Services, dispatcher, ledger, one
from console.cli.meter import Meter, tell_progress
from console.cli.run import Interrupted, interrupted
from console.cli.unlock import unlock_for
from console.dispatch.action import Plan, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import pairs, parse_args
from console.engine.open import open_engine, whoami
from console.engine.port import Engine
from console.errors import DbdeckError, Exit, Locked, UsageError
from console.model.target import Target
from console.present import runs as words
from console.present.reads import READS
from console.present.table import Column, Line, Tone
from console.present.units import clean
from console.runbook.document import Document, walk
from console.runbook.events import Event, Started, encode
from console.runbook.history import Recalled, documents_of, follow, recall, runs
from console.runbook.holding import Ways, beginning, going_on, holder_of
from console.runbook.lint import Catalogue, Finding, lint
from console.runbook.loader import Library, Loaded, load, load_folders
from console.runbook.outline import outline
from console.runbook.reading import Others, Reading
from console.runbook.runner import Answer, Order, Runner, is_for, resumed, started
from console.runbook.sound import must_be_sound
from console.runbook.state import Run, code_of
from console.runbook.steps import Ask, level_of
from console.runbook.suggesting import matches

STATUS_RUNS = 20
_LIST = (
    Column(title="id", width=28),
    Column(title="risk", width=7),
    Column(title="engines", width=30),
    Column(title="reviewed", width=10, drop=1),
    Column(title="title", width=30, grow=True),
)
_RUNS = (
    Column(title="run", width=36),
    Column(title="began (UTC)", width=19),
    Column(title="runbook", width=24),
    Column(title="target", width=16),
    Column(title="by", width=20, drop=1),
    Column(title="state", width=20, grow=True),
)


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Answers are by step: its key, or its own id for every item of a loop."""

    reason: str = ""
    ticket: str = ""
    yes: bool = False
    confirm: tuple[str, ...] = ()
    attest: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    as_json: bool = False


def library(services: Services) -> Library:
    """The documents of the package and of the config's folders."""
    folders = [Path(one).expanduser() for one in services.config().runbooks.folders]
    return load_folders(folders, services.runbooks())


def _told(found: Library) -> None:
    for fault in found.faults:
        output.complaint(fault)


def catalogue(services: Services) -> Catalogue:
    return Catalogue(services.registry(), frozenset(READS))


# ---- documents -------------------------------------------------------------------------------


def list_all(services: Services, symptom: str, as_json: bool) -> int:
    """With `symptom` only those whose words it has."""
    found = library(services)
    _told(found)
    chosen = [loaded for loaded in found if matches(loaded.document, symptom)]
    if as_json:
        rows = [summary(loaded) for loaded in chosen]
        output.document({"schema": "dbdeck/runbooks/1", "rows": rows})
    elif chosen or not symptom:
        output.table(_LIST, [_line(loaded.document) for loaded in chosen])
    else:
        output.note(
            f"dbdeck: no runbook has the words {symptom!r}\n  hint: `dbdeck runbook list` has all of them"
        )
    return Exit.USAGE if found.faults else Exit.OK


def _line(document: Document) -> Line:
    engines = ", ".join(f"{flavor} {bound}" for flavor, bound in document.engines.items())
    cells = (document.id, str(document.risk), engines, document.reviewed.isoformat(), document.title)
    return Line(key=document.id, cells=cells)


def summary(loaded: Loaded) -> dict[str, Any]:
    document = loaded.document
    names = ("id", "title", "summary", "owner", "reviewed", "risk", "engines", "symptoms")
    return {
        **{name: getattr(document, name) for name in names},
        "digest": loaded.digest,
        "source": loaded.source,
    }


def show(services: Services, name: str, as_json: bool) -> int:
    loaded = library(services).get(name)
    document = loaded.document
    if as_json:
        whole = msgspec.to_builtins(document)
        output.document({"schema": "dbdeck/runbook-document/1", "digest": loaded.digest, "document": whole})
        return Exit.OK
    output.line(f"{document.title} ({document.id})", Tone.NOTICE)
    if document.summary:
        output.line(document.summary)
    output.line(f"owner {document.owner}, reviewed {document.reviewed}, wanted every {document.review_every}")
    output.line(f"risk {document.risk}; " + ", ".join(f"{a} {b}" for a, b in document.engines.items()))
    for param, about in document.params.items():
        default = "required" if about.required else f"default {about.default}"
        output.line(f"  -p {param}=…  {about.type}, {default}  {about.help}".rstrip())
    for step in walk(document.steps):
        output.line(f"  {step.id} [{step.kind}] {step.title or step.why}".rstrip())
    return Exit.OK


def check(services: Services, names: Sequence[str], as_json: bool) -> int:
    """Without names the whole library; a name with a `/` or `.yaml` is a file. Exit 2 on an error."""
    found = library(services)
    chosen = [_named(one, found) for one in names] or list(found)
    today = datetime.now(UTC).date()
    findings = [
        *(Finding(severity="error", rule="not-read", message=fault.message, place="", hint=fault.hint)
          for fault in ([] if names else found.faults)),
        *(finding for loaded in chosen for finding in lint(loaded, found, catalogue(services), today)),
    ]  # fmt: skip
    wrong = any(finding.severity == "error" for finding in findings)
    if as_json:
        rows = [msgspec.to_builtins(finding) for finding in findings]
        output.document({"schema": "dbdeck/runbook-lint/1", "ok": not wrong, "rows": rows})
    else:
        for finding in findings:
            hint = f" ({finding.hint})" if finding.hint else ""
            where = f"{finding.place}: " if finding.place else ""
            tone = Tone.BAD if finding.severity == "error" else Tone.WARN
            output.line(f"{where}{finding.severity}: {finding.rule}: {finding.message}{hint}", tone)
        output.line(f"{len(chosen)} runbooks, {'with faults' if wrong else 'no fault'}")
    return Exit.USAGE if wrong else Exit.OK


def _named(name: str, found: Library) -> Loaded:
    if "/" in name or name.endswith((".yaml", ".yml")):
        return load(Path(name).expanduser())
    return found.get(name)


def print_schema(services: Services) -> int:
    from console.runbook.schema import schema

    output.document(schema(services.registry(), READS))
    return Exit.OK


# ---- plan ------------------------------------------------------------------------------------


async def plan(services: Services, name: str, given: Sequence[str], target: str | None, as_json: bool) -> int:
    """The whole tree, with what is known now. Reads only."""
    found = library(services)
    must_be_sound(found, name, catalogue(services), datetime.now(UTC).date())
    chosen = one(services.config(), target)
    await unlock_for([chosen], store=True)
    registry = services.registry()
    async with open_engine(chosen) as engine:

        async def planner(action: str, arguments: Mapping[str, Any]) -> Plan:
            known = registry.get(action)
            return await planned(services, known, engine, parse_args(known, arguments))

        params, order = pairs(tuple(given)), Order(reason="")
        begins = await started(found, name, params, engine, order, targets=_names(services))
        async with _others(services) as others:
            reading = Reading(engine, READS, others)
            lines = await outline(reading, planner, documents_of(begins), begins)
    if as_json:
        rows = [msgspec.to_builtins(line) for line in lines]
        head = {"runbook": name, "target": chosen.name, "params": begins.params, "digest": begins.digest}
        output.document({"schema": "dbdeck/runbook-plan/1", **head, "rows": rows})
        return Exit.OK
    for tone, text in words.tree(lines):
        output.line(text, tone)
    return Exit.OK


# ---- run and resume --------------------------------------------------------------------------


async def run(
    services: Services, name: str, given: Sequence[str], target: str | None, options: RunOptions
) -> int:
    found = library(services)
    must_be_sound(found, name, catalogue(services), datetime.now(UTC).date())
    decider = Decider(options)
    chosen = one(services.config(), target)
    order = _order(options)
    await unlock_for([chosen], store=True)
    async with dispatcher(services.config(), services.registry()) as made, open_engine(chosen) as engine:
        begins = await started(found, name, pairs(tuple(given)), engine, order, targets=_names(services))
        async with beginning(_ways(services, made, engine, decider), begins, order) as runner:
            return await _go(runner, begins, options)


async def resume(services: Services, run_id: str, options: RunOptions) -> int:
    """Goes on with a run by what the ledger says, or follows it where somebody else runs it."""
    decider = Decider(options)
    number = run_number(run_id)
    async with dispatcher(services.config(), services.registry()) as made:
        recalled = await recall(made.ledger, number)
        if recalled.run.ended is not None:
            return _ended(recalled, options)
        begins = recalled.run.started
        chosen = services.config().target(begins.target)
        order = _order(options, begins)
        await unlock_for([chosen], store=True)
        async with open_engine(chosen) as engine, contextlib.AsyncExitStack() as stack:
            held = going_on(_ways(services, made, engine, decider), number, order)
            try:
                runner = await stack.enter_async_context(held)
            except Locked as locked:
                output.complaint(locked)
                return await _follow(made, chosen, recalled, options)
            _tell_holder(runner.run, order.by)
            return await _go(runner, resumed(order), options)


def _tell_holder(run: Run, by: str) -> None:
    """Whoever goes on with what is another's now should know it; they may, and it is recorded."""
    if run.handed is not None and not is_for(run.handed.to, by):
        output.note(f"dbdeck: this run was {run.holder}; {clean(by)} goes on with it now, which is recorded")


def _order(options: RunOptions, begins: Started | None = None) -> Order:
    """Raises UsageError for a run without a reason."""
    reason = options.reason or (begins.reason if begins else "")
    if not reason.strip():
        raise UsageError("no reason was given; nothing was started", "say why with --reason TEXT")
    return Order(reason=reason, ticket=options.ticket or (begins.ticket if begins else ""), by=whoami())


@asynccontextmanager
async def _others(services: Services) -> AsyncIterator[Others]:
    """Other targets' monitors for as long as a plan is drawn up; those that were opened are closed."""
    others = Others(services.config().target)
    try:
        yield others
    finally:
        await others.close()


def _names(services: Services) -> list[str]:
    return [target.name for target in services.config().all_targets()]


def _ways(services: Services, made: Dispatcher, engine: Engine, decider: Decider) -> Ways:
    watch = Watch(seconds=5.0, tell=tell_progress, advance=Meter())
    find = services.config().target
    return Ways(dispatcher=made, engine=engine, reads=READS, decide=decider, watch=watch, targets=find)


async def _go(runner: Runner, first: Event, options: RunOptions) -> int:
    """The exit code says what became of the run, whatever becomes of the words about it."""
    failed: DbdeckError | None = None
    signalled: Interrupted | None = None
    try:
        async for event in runner.events(first):
            tell_event(str(runner.id), event, options.as_json)
    except asyncio.CancelledError as cancelled:
        if not runner.has_begun:
            raise
        output.note("dbdeck: interrupted; what was begun is recorded")
        signalled = interrupted(cancelled)
    except DbdeckError as error:
        if not runner.has_begun:
            raise
        failed = error
        output.complaint(error)
    code = runner.code
    if code not in (8, 9) and (early := failed or signalled) is not None:
        code = int(getattr(early, "code", early.exit))
    _conclude(runner, code, options)
    return code


def tell_event(run_id: str, event: Event, as_json: bool) -> None:
    try:
        if as_json:
            output.document({"schema": "dbdeck/run-event/1", "run": run_id, **encode(event)})
        else:
            tone, text = words.line(event)
            output.line(text, tone)
    except OSError as error:
        output.lost(error)


def _conclude(runner: Runner, code: int, options: RunOptions) -> None:
    asked = runner.waiting
    if asked is not None:
        output.note(f"dbdeck: the run waits: {asked.text}")
        output.note(f"  hint: `dbdeck runbook resume {runner.id} {_flag(asked)}`")
    elif runner.run.ended is None:
        output.note(f"dbdeck: the run has not ended\n  hint: `dbdeck runbook resume {runner.id}`")
    if options.as_json:
        with contextlib.suppress(OSError):
            output.document(words.concluded(runner.run, asked, code))


def _flag(asked: Ask) -> str:
    """What answers it on the command line."""
    own = asked.key[len(level_of(asked.key)) :]
    if asked.question == "manual":
        return f"--attest {own}=TEXT"
    if asked.question == "confirm":
        return f"--confirm {own}={asked.phrase!r}"
    if asked.question == "action":
        return f"--yes --confirm {own}={asked.phrase}" if asked.phrase else "--yes"
    return f"--decide {own}={'|'.join(asked.choices)}"


class Decider:
    """Answers from the command line; at a terminal it asks for what is not given."""

    def __init__(self, options: RunOptions) -> None:
        self._yes = options.yes
        self._confirm = _answers("--confirm", options.confirm)
        self._attest = _answers("--attest", options.attest)
        self._decide = _answers("--decide", options.decide)
        self._used: set[tuple[str, str]] = set()

    async def __call__(self, asked: Ask) -> Answer | None:
        given = self._given(asked)
        if given is None and sys.stdin.isatty() and sys.stderr.isatty():
            return await asyncio.to_thread(_ask, asked)
        return given

    def _given(self, asked: Ask) -> Answer | None:
        if asked.question == "manual":
            text = _of(self._attest, asked.key)
            return None if text is None else Answer(decision="done", text=text)
        if asked.question == "confirm":
            text = _of(self._confirm, asked.key)
            return None if text is None else Answer(decision="yes", text=text)
        if asked.question == "action":
            text = _of(self._confirm, asked.key) or ""
            return Answer(decision="yes", text=text) if self._yes else None
        chosen = _of(self._decide, asked.key)
        again = (asked.key, asked.question)
        if chosen is None or again in self._used:
            return None  # one flag is one answer: what is asked again is not what was meant
        self._used.add(again)
        return Answer(decision=chosen, text=chosen)


def _of(table: Mapping[str, str], key: str) -> str | None:
    return table.get(key, table.get(key[len(level_of(key)) :]))


def _answers(flag: str, given: Iterable[str]) -> dict[str, str]:
    found = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag} {word!r} is not STEP=TEXT; nothing was started")
        found[key] = value
    return found


def _ask(asked: Ask) -> Answer | None:
    """At a terminal. An empty line answers nothing, and the run waits."""
    for _, line in words.asked(asked):
        output.note(line)
    if asked.question == "manual":
        text = _prompt("what was done (empty: not yet): ")
        return Answer(decision="done", text=text) if text else None
    if asked.phrase:
        text = _prompt(f"type {asked.phrase!r} to go on, or no: ")
        if text == "no":
            return Answer(decision="no")
        return Answer(decision="yes", text=text) if text else None
    text = _prompt(f"{' or '.join(asked.choices)}: ")
    return Answer(decision=text, text=text) if text else None


def _prompt(text: str) -> str:
    sys.stderr.write(text)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


# ---- looking on --------------------------------------------------------------------------------


async def _follow(made: Dispatcher, target: Target, recalled: Recalled, options: RunOptions) -> int:
    """Until it ends; exit 7 where its runner is gone before that."""
    number = UUID(recalled.run.started.run)
    known = recalled.events[-1].id

    async def held() -> bool:
        return await holder_of(made, target, number) is not None

    async for recorded in follow(made.ledger, number, known, held):
        tell_event(str(number), recorded.event, options.as_json)
    after = await recall(made.ledger, number)
    if after.run.ended is None:
        output.note(
            f"dbdeck: its runner is gone; nothing was done here\n  hint: `dbdeck runbook resume {number}`"
        )
        return Exit.LOCKED
    return code_of(after.run.ended.result, after.run)


def _ended(recalled: Recalled, options: RunOptions) -> int:
    ended = recalled.run.ended
    if ended is None:
        raise RuntimeError("the run has not ended")
    output.note(f"dbdeck: the run has ended as {ended.result}; nothing was done now")
    tell_event(recalled.run.started.run, ended, options.as_json)
    return code_of(ended.result, recalled.run)


async def status(services: Services, run_id: str | None, as_json: bool) -> int:
    """The newest runs, or every event of one."""
    async with _reading(services) as opened:
        if run_id is None:
            found = await runs(opened, STATUS_RUNS)
        else:
            recalled = await recall(opened, run_number(run_id))
    if run_id is None:
        _tell_runs(found, as_json)
        return Exit.OK
    if as_json:
        rows = [{"id": one.id, "at": one.at, **encode(one.event)} for one in recalled.events]
        output.document(
            {"schema": "dbdeck/runbook-status/1", "run": run_id, "state": _state(recalled), "rows": rows}
        )
        return Exit.OK
    for one_event in recalled.events:
        tone, text = words.line(one_event.event)
        output.line(f"{one_event.at:%Y-%m-%d %H:%M:%S}  {text}", tone)
    return Exit.OK


@asynccontextmanager
async def _reading(services: Services) -> AsyncIterator[Any]:
    async with ledger(services.config(), write=False) as opened:
        yield opened


def _tell_runs(found: Sequence[Recalled], as_json: bool) -> None:
    if as_json:
        output.document({"schema": "dbdeck/runbook-runs/1", "rows": [_row(one) for one in found]})
        return
    lines = []
    for one_run in found:
        row = _row(one_run)
        began = f"{row['began']:%Y-%m-%d %H:%M:%S}"
        cells = (row["run"], began, row["runbook"], row["target"], row["by"], row["state"])
        lines.append(Line(key=row["run"], cells=cells))
    output.table(_RUNS, lines)


def _row(recalled: Recalled) -> dict[str, Any]:
    begins = recalled.run.started
    return {
        "run": begins.run,
        "began": recalled.events[0].at,
        "runbook": begins.runbook,
        "target": begins.target,
        "by": begins.by,
        "state": _state(recalled),
        "holder": recalled.run.handed.to if recalled.run.handed else None,
        "events": len(recalled.events),
    }


def _state(recalled: Recalled) -> str:
    if recalled.run.ended is not None:
        return recalled.run.ended.result
    state = "outcome unknown" if recalled.run.unsettled else "not ended"
    return f"{state}, {clean(recalled.run.holder)}" if recalled.run.handed else state


def run_number(text: str) -> UUID:
    """Raises UsageError."""
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no id of a run; nothing was started", "`dbdeck runbook status` lists them"
        ) from None
