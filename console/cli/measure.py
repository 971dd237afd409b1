"""`measure`: an exact look at a table or an index, after its cost was told."""

from __future__ import annotations

import msgspec

from console.cli import output
from console.cli.context import Services, one
from console.engine.open import open_engine
from console.errors import Exit, UsageError
from console.present import measurement as words
from console.present.names import parse


async def measure(services: Services, name: str, target: str | None, *, yes: bool, as_json: bool) -> int:
    """Raises UsageError without --yes: nothing was read then but what it would cost."""
    schema, bare = parse(name)
    async with open_engine(one(services.config(), target)) as engine:
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
