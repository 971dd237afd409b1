"""`measure`: an exact look at a table or an index, after its cost was told."""

from __future__ import annotations

import time

import msgspec

from console.cli import output
from console.cli.context import Services, one
from console.cli.show import envelope
from console.cli.unlock import unlock_for
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import DbdeckError, Exit, UsageError
from console.model.tables import Bloat, Measurement, TableQuery
from console.present import measurement as words
from console.present.names import parse, shown


class _Seen(msgspec.Struct):
    """How far it came."""

    subject: str
    cost: Measurement | None = None
    bloat: Bloat | None = None


async def measure(services: Services, name: str, target: str | None, *, yes: bool, as_json: bool) -> int:
    """With --json every end is one document. Without --yes nothing is read but what it would cost."""
    chosen = one(services.config(), target)
    seen, start = _Seen(subject=name), time.perf_counter()
    problem: DbdeckError | None = None
    try:
        await unlock_for([chosen])
        async with open_engine(chosen) as engine:
            await _look(engine, name, seen, yes=yes)
    except DbdeckError as error:
        problem = error
    if as_json:
        found = envelope("measure", chosen, [], (time.perf_counter() - start) * 1000, problem)
        del found["rows"]
        output.document(found | msgspec.to_builtins(seen))
    if problem is not None:
        output.complaint(problem)
        return int(getattr(problem, "code", problem.exit))
    if seen.bloat is not None and not as_json:
        for line in words.result(seen.bloat):
            output.line(line)
    return Exit.OK


async def _look(engine: Engine, name: str, seen: _Seen, *, yes: bool) -> None:
    """Raises UsageError where it cannot be measured, or nobody said yes to the cost."""
    schema, bare = parse(name)
    schema = schema or await _schema_of(engine, bare)
    seen.cost = await engine.measurement(schema, bare)
    seen.subject = seen.cost.subject
    if seen.cost.refusal:
        raise UsageError(f"{'; '.join(words.cost(seen.cost)).rstrip(';')}; nothing was measured")
    for line in words.cost(seen.cost):
        output.note(line)
    if not yes:
        raise UsageError("nothing was measured", "repeat it with --yes")
    seen.bloat = await engine.measure(schema, bare)


async def _schema_of(engine: Engine, name: str) -> str:
    """Where the one table or index of that name is. Raises UsageError for none, and for several."""
    tables = (await engine.tables(TableQuery(pattern=name.replace("*", "?"), brief=True))).tables
    found = {table.schema for table in tables if table.name == name}
    found |= {index.schema for index in await engine.indexes(TableQuery(), [("", name)])}
    if len(found) != 1:
        raise UsageError(
            f"{name!r} is {'in several schemas' if found else 'no table or index'}; nothing was measured",
            f"say which: {', '.join(shown(schema, name) for schema in sorted(found))}" if found else "",
        )
    return found.pop()
