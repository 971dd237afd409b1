"""Of objects that were chosen and not named, those that the operator may not maintain are left to others."""

from __future__ import annotations

from collections.abc import Sequence

from actions.draft import Ground, Named, is_named
from actions.jobs import Job
from actions.limits import WorkArgs
from actions.names import show_name
from actions.table_statements import POSTGRES
from actions.words import some
from console.dispatch.planning import may_not
from console.engine.port import Need
from console.model.indexes import Index
from console.model.tables import Table

QUESTIONS = 400  # each is a round trip or two
PRIVILEGES = ("SELECT", "INSERT")  # what ANALYZE and OPTIMIZE TABLE take in MySQL and MariaDB


async def permitted(
    on: Ground, args: WorkArgs, objects: Sequence[Named]
) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    """Without those, and a warning that names them with the GRANT that would change it.

    All of them where no other is left, where they were named, and where nobody can tell: then the plan says
    so, or is refused, as a whole.
    """
    operator = on.engine.target.operator
    if operator is None or is_named(args) or not objects:
        return tuple(objects), ()
    lacks = await _lacking(on, objects, [QUESTIONS])
    if not lacks or len(lacks) == len(objects):
        return tuple(objects), ()
    out = [objects[place] for place in lacks]
    rights = list(dict.fromkeys(right for missing in lacks.values() for right in missing))
    names = some([show_name(one.schema, one.name) for one in out])
    left = tuple(one for place, one in enumerate(objects) if place not in lacks)
    return left, (f"left out, {names}: {may_not(operator.user, rights)}",)


async def _lacking(
    on: Ground, objects: Sequence[Named], left: list[int], first: int = 0
) -> dict[int, tuple[str, ...]]:
    """By the place of each: all are asked for at once, and by halves only where something lacks.

    So many questions are `left`; of what they do not reach all that lacks together is said of each.
    """
    left[0] -= 1
    missing = await on.engine.lacking([_need(on, one) for one in objects])
    if not missing or len(objects) == 1 or left[0] <= 0:
        return dict.fromkeys(range(first, first + len(objects)), missing) if missing else {}
    middle = len(objects) // 2
    return {
        **await _lacking(on, objects[:middle], left, first),
        **await _lacking(on, objects[middle:], left, first + middle),
    }


def _need(on: Ground, one: Table | Index | Job) -> Need:
    """An index goes with the rights of its table; dropping it is its owner's."""
    if isinstance(one, Table):
        name, number = one.name, one.number
    elif isinstance(one, Index):
        name, number = one.table, one.table_number
    else:
        name, number = one.table or one.name, one.before.get("table", one.number)
    return Need(
        schema=one.schema,
        name=name,
        number=number or 0,
        own=isinstance(one, Job) and one.verb == "drop invalid",
        privileges=() if on.server.flavor == POSTGRES else PRIVILEGES,
    )
