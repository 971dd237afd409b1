"""How a plan is drawn up: by the server, and by what is known beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from console.dispatch.action import Action, Needy, Past, Plan, Recalling, Remembering
from console.engine.port import Engine
from console.secret_store import SecretStore

_TOLD = 5


async def nothing_past() -> Sequence[dict[str, Any]]:
    """Without a ledger nothing is known of earlier runs."""
    return ()


class Known(NamedTuple):
    """What a plan may be made by, beside the server: the secrets kept, and how earlier runs ended."""

    store: SecretStore | None = None
    past: Past = nothing_past


NOTHING_KNOWN = Known()


async def planned(action: Action[Any], engine: Engine, args: msgspec.Struct, known: Known) -> Plan:
    """By what is known beside the server, too, where the action looks at it. Raises as `Action.plan`."""
    if isinstance(action, Remembering):
        return await action.plan_kept(engine, args, known.store)
    if isinstance(action, Recalling):
        return await action.plan_recalled(engine, args, known.past)
    return await action.plan(engine, args)


async def draw_up(
    action: Action[Any], engine: Engine, args: msgspec.Struct, known: Known = NOTHING_KNOWN
) -> Plan:
    """The action's plan, with what its operator lacks where the monitor can tell. Raises as `Action.plan`."""
    plan = await planned(action, engine, args, known)
    operator = engine.target.operator
    if operator is None or plan.refusals or not isinstance(action, Needy):
        return plan
    missing = await engine.lacking(action.needs(plan))
    if not missing:
        return plan
    said = f"{may_not(operator.user, missing)}; without it nothing will be executed"
    return msgspec.structs.replace(plan, warnings=(said, *plan.warnings))


def may_not(user: str, missing: Sequence[str]) -> str:
    more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
    return f"{user} may not: {'; '.join(one.rstrip(';') for one in missing[:_TOLD])}{more}"
