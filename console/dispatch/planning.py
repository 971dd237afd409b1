"""How a plan is drawn up: by the server, and by what is known beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from console.dispatch.action import Action, Needy, Plan, Recalling, Remembering, Sparing
from console.dispatch.memory import Memory
from console.engine.port import Engine, Need

_TOLD = 5


async def planned(action: Action[Any], engine: Engine, args: msgspec.Struct, memory: Memory) -> Plan:
    """By more than the server, where the action looks at it. Raises as `Action.plan`."""
    if isinstance(action, Remembering):
        return await action.plan_kept(engine, args, memory)
    if isinstance(action, Recalling):
        return await action.plan_recalled(engine, args, partial(memory.past, action.name, engine.target.name))
    return await action.plan(engine, args)


async def draw_up(action: Action[Any], engine: Engine, args: msgspec.Struct, memory: Memory) -> Plan:
    """The action's plan, with what its operator lacks where the monitor can tell. Raises as `Action.plan`."""
    plan = await planned(action, engine, args, memory)
    operator = engine.target.operator
    if operator is None or plan.refusals or not isinstance(action, Needy):
        return plan
    if apart := apart_of(action, plan):
        unfit = await unfit_of(apart, engine.lacking, operator.user)
        out = tuple(f"{name} will be left out: {why}" for name, why in unfit.items())
        return msgspec.structs.replace(plan, warnings=(*out, *plan.warnings))
    missing = await engine.lacking(action.needs(plan))
    if not missing:
        return plan
    said = f"{may_not(operator.user, missing)}; without it nothing will be executed"
    return msgspec.structs.replace(plan, warnings=(said, *plan.warnings))


def apart_of(action: Action[Any], plan: Plan) -> Mapping[str, tuple[Need, ...]]:
    return action.apart(plan) if isinstance(action, Sparing) else {}


async def unfit_of(
    apart: Mapping[str, tuple[Need, ...]],
    ask: Callable[[Sequence[Need]], Awaitable[tuple[str, ...]]],
    user: str,
) -> dict[str, str]:
    """Of subjects that go on without each other: whose rights the operator lacks, and which."""
    missing = {name: await ask(needs) for name, needs in apart.items()}
    return {name: may_not(user, lacks) for name, lacks in missing.items() if lacks}


def may_not(user: str, missing: Sequence[str]) -> str:
    more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
    return f"{user} may not: {'; '.join(one.rstrip(';') for one in missing[:_TOLD])}{more}"
