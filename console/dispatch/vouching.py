"""A plan out of a file says what somebody wrote into it: whether it is what its action plans itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console.dispatch.action import Plan
from console.errors import Refused, Stale

_LISTED = 3
_WIDTH = 160


def vouch(saved: Plan, fresh: Plan, *, thinned: bool = False) -> None:
    """`fresh` was made by the action from the arguments of `saved`. `thinned`: some of what it is for may be
    gone by itself.

    Raises Stale, naming what has changed, and Refused where it was never planned so: the objects are the
    same, and something else would be done to them.
    """
    if changed := changes(saved.observed, fresh.observed):
        raise Stale(
            f"{fresh.title} changed since the plan: {'; '.join(changed[:_LISTED])}; nothing was executed",
            "plan anew",
        )
    if found := _other(saved, fresh, thinned=thinned):
        by = f" (it was made by dbdeck {saved.version[:20]!r})" if saved.version != fresh.version else ""
        raise Refused(
            f"the saved plan is not what {fresh.action} plans with its arguments{by}: {'; '.join(found)}; "
            "it was edited, or what it was planned by has changed; nothing was executed",
            "plan anew",
        )


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was observed and is otherwise now, in words; what is there now and was not, too."""
    return [
        change(key, before.get(key), now.get(key)) for key in {**before, **now} if _differ(key, before, now)
    ]


def _differ(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return key not in before or before[key] != now.get(key)


def change(key: str, before: object, now: object) -> str:
    """What is observed of tables and indexes is their number, which only one made anew has another of."""
    if key.partition(" ")[0] in ("table", "index") and isinstance(before, int):
        gone = "is gone" if now is None else "was dropped and made anew, or built anew"
        return f"{key} {gone}"
    return f"{key} was {_shown(before)} and is {_shown(now)}"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def _other(saved: Plan, fresh: Plan, *, thinned: bool) -> list[str]:
    """What differs beside the objects, in words; nothing where the same would be done."""
    found = _statements(saved.statements, fresh.statements, thinned=thinned)[:_LISTED]
    if saved.risk != fresh.risk:
        found.append(f"its risk is {fresh.risk}, not {saved.risk}")
    if saved.confirm != fresh.confirm:
        found.append(f"the target's name {'has' if fresh.confirm else 'has not'} to be typed for it")
    if not (found or thinned) and saved.hash != fresh.hash:
        found.append("what it says of its objects is not what they are")
    return found


def _statements(saved: Sequence[str], fresh: Sequence[str], *, thinned: bool) -> list[str]:
    """Those that only one of them has; of a thinned plan those only that the saved one has not."""
    missing = [f"{one[:_WIDTH]!r} is missing" for one in fresh if one not in saved]
    if thinned or saved == fresh:
        return missing
    beyond = [f"{one[:_WIDTH]!r} is none of its statements" for one in saved if one not in fresh]
    return beyond or missing or ["its statements stand in another order"]
