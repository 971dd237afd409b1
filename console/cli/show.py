"""`targets` and `show SUBJECT`: the panes' readings as documents, CSV or aligned text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from console.cli import output
from console.cli.context import Services, choose, ledger, one
from console.cli.subjects import SUBJECTS, Beside, Subject, checking, comparing
from console.cli.unlock import unlock_for
from console.config import Config
from console.engine.open import Engines
from console.engine.port import Engine
from console.errors import DbdeckError, Exit, UsageError
from console.model.guessing import SECONDS
from console.model.target import Target
from console.present.table import Column, Line, Tone
from console.present.units import clean
from console.secret_store import of_this_process


class ShowOptions(msgspec.Struct, frozen=True, kw_only=True):
    target: str | None
    select: str
    as_json: bool
    as_csv: bool
    watch: float | None
    check: bool = False
    budget: float = SECONDS

    @property
    def form(self) -> str:
        return "json" if self.as_json else "csv" if self.as_csv else "text"


async def show(services: Services, name: str, options: ShowOptions) -> int:
    """One target, or those of --select one after the other: a document each, and the worst exit code."""
    if options.as_json and options.as_csv:
        raise UsageError("either --json or --csv, not both")
    if options.check and (name != "accounts" or options.watch is not None):
        raise UsageError("--check is for `show accounts`, and without --watch; nothing was read")
    config = services.config()
    subject = _subject(name, config, options)
    name = "account_check" if options.check else name
    chosen = choose(config, (), options.select) if options.select else [one(config, options.target)]
    seen = [one for target in chosen for one in (target, *config.replicas_of(target.name))]
    await unlock_for(seen, store=subject.of_secrets)
    async with aclosing(Engines()) as engines:
        looks = [await _look(config, target, engines) for target in chosen]
        while True:
            code = max(
                [await _titled(look, name, subject, options.form, many=len(looks) > 1) for look in looks]
            )
            if options.watch is None:
                return code
            await asyncio.sleep(options.watch)


def _subject(name: str, config: Config, options: ShowOptions) -> Subject:
    if options.check:
        return checking(config, options.budget)
    return comparing(config) if name == "accounts" else SUBJECTS[name]


class Look(NamedTuple):
    """A target, and what is beside it; nothing is connected before it is read."""

    engine: Engine
    beside: Beside = Beside()
    config: Config = Config()


async def _look(config: Config, target: Target, engines: Engines) -> Look:
    others = config.replicas_of(target.name)
    engine = await engines.of(target)
    replicas = [await engines.of(one) for one in others]
    beside = Beside(
        replicas=replicas,
        store=of_this_process(),
        actions=partial(_actions, config, target.name),
        past=partial(past_drills, config),
        every=config.drills.targets,
    )
    return Look(engine, beside, config)


async def _actions(config: Config, target: str, rotations: Collection[str]) -> Mapping[str, str]:
    """By the ledger, where it may be read; what it does not tell is no reason to show nothing."""
    from console.dispatch.history import actions_of

    try:
        async with ledger(config, write=False) as opened:
            return await actions_of(opened, target, rotations)
    except DbdeckError:
        return {}


async def past_drills(config: Config) -> Sequence[dict[str, Any]]:
    """How drills ended, by the ledger. Raises what its opening raises."""
    from console.backups.board import DRILL
    from console.dispatch.history import evidence

    async with ledger(config, write=False) as opened:
        return await evidence(opened, DRILL)


async def _titled(look: Look, name: str, subject: Subject, form: str, *, many: bool) -> int:
    if many and form == "text":
        output.line(look.engine.target.name, Tone.NOTICE)
    return await _once(look, name, subject, form)


async def _once(look: Look, name: str, subject: Subject, form: str) -> int:
    engine = look.engine
    start = time.perf_counter()
    found: Any = None
    problem: DbdeckError | None = None
    try:
        beside = subject.read_beside
        found = await (beside(engine, look.beside) if beside else subject.read(engine))
        found = subject.judge(found, look.config, engine.target.name)
    except DbdeckError as error:
        problem = error
    latency = (time.perf_counter() - start) * 1000
    partly = subject.problem(found) if problem is None else None
    if form == "json":
        rows = subject.rows(found) if problem is None else []
        document = envelope(name, engine.target, rows, latency, problem or partly)
        output.document(document | (subject.beside(found) if problem is None else {}))
    if problem is not None:
        output.complaint(problem)
        return problem.exit
    if form == "csv":
        output.csv_rows(subject.fields, subject.rows(found))
    elif form == "text":
        _text(subject, found)
    for note in subject.notes(found):
        output.note(f"note: {clean(note)}")
    return Exit.OK if partly is None else partly.exit


def _text(subject: Subject, found: Any) -> None:
    lines = subject.lines(found)
    if subject.summary is not None:
        output.note(subject.summary(found))
    elif not lines:
        output.note(subject.empty)
    if subject.paragraphs is not None:
        for text, tone in subject.paragraphs(found):
            output.line(text, tone)
    elif lines:
        output.table(subject.columns_of(found), lines)


def envelope(
    name: str, target: Target, rows: list[dict[str, Any]], latency_ms: float, problem: DbdeckError | None
) -> dict[str, Any]:
    """What every `show … --json` prints (docs/cli.md, "Documents")."""
    return {
        "schema": f"dbdeck/{name}/1",
        "target": target.name,
        "engine": target.engine,
        "taken_at": datetime.now(UTC),
        "latency_ms": round(latency_ms, 2),
        "problem": problem and {"kind": problem.kind, "message": problem.message, "hint": problem.hint},
        "rows": rows,
    }


_TARGET_COLUMNS = (
    Column(title="target", width=20),
    Column(title="engine", width=9),
    Column(title="environment", width=11),
    Column(title="address", width=30),
    Column(title="tls", width=11),
    Column(title="may act", width=9),
    Column(title="labels", width=20, grow=True),
)


def targets(services: Services, select: str, as_json: bool, as_csv: bool) -> int:
    """No connection is made."""
    found = choose(services.config(), (), select)
    rows = [_target_row(target) for target in found]
    if as_json:
        output.document({"schema": "dbdeck/targets/1", "rows": rows})
    elif as_csv:
        output.csv_rows(list(rows[0]), rows)
    else:
        output.table(_TARGET_COLUMNS, [_target_line(target) for target in found])
    return Exit.OK


def _target_row(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "engine": target.engine,
        "environment": target.environment,
        "host": target.host,
        "port": target.port,
        "database": target.database,
        "tls": target.tls,
        "read_only": target.read_only,
        "labels": target.labels,
    }


def _target_line(target: Target) -> Line:
    labels = ", ".join(f"{name}={value}" for name, value in target.labels.items())
    may = "read-only" if target.read_only else "yes"
    return Line(
        key=target.name,
        cells=(
            target.name,
            target.engine,
            target.environment,
            target.address,
            "socket" if target.local else target.tls,
            may,
            labels,
        ),
    )
