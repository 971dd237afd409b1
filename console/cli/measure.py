"""`measure`: an exact look at a table or an index, after its cost was told."""

from __future__ import annotations

import msgspec

from console.cli import output
from console.cli.context import Services, one
from console.cli.unlock import unlock_for
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import Exit, UsageError
from console.model.tables import TableQuery
from console.present import measurement as words
from console.present.names import parse, shown


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


async def measure(services: Services, name: str, target: str | None, *, yes: bool, as_json: bool) -> int:
    """Raises UsageError without --yes: nothing was read then but what it would cost."""
    schema, bare = parse(name)
    found_target = one(services.config(), target)
    await unlock_for([found_target])
    async with open_engine(found_target) as engine:
        schema = schema or await _schema_of(engine, bare)
        cost = await engine.measurement(schema, bare)
        for line in words.cost(cost):
            output.note(line)
        if cost.refusal:
            return Exit.USAGE
        if not yes:
            raise UsageError("nothing was measured", "repeat it with --yes")
        found = await engine.measure(schema, bare)
    if as_json:
        document = {"schema": "dbdeck/measure/1", "target": engine.target.name, "subject": cost.subject}
        output.document(document | {"cost": msgspec.to_builtins(cost), "bloat": msgspec.to_builtins(found)})
    else:
        for line in words.result(found):
            output.line(line)
    return Exit.OK
