"""What a step saw, as values that expressions know, and whether what it expects of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from console.runbook.document import Assertion
from console.runbook.expression import condition, fill
from console.runbook.values import UNKNOWN, AtLeast, Cut, ExpressionError, seen_of

Row = Mapping[str, Any]
MOST_BYTES: Final = 256 * 1024


class Judgement(NamedTuple):
    state: Literal["done", "failed", "unknown"]
    summary: str
    warnings: tuple[str, ...] = ()


def answer(rows: Sequence[Row], *, truncated: bool = False) -> dict[str, Any]:
    """What a query saves: as many rows as a row of the ledger should hold, and whether there were more."""
    kept: list[dict[str, Any]] = []
    left = MOST_BYTES
    for row in rows:
        left -= len(msgspec.json.encode(row, enc_hook=str))
        if left < 0:
            return {"rows": kept, "count": len(kept), "truncated": True}
        kept.append(dict(row))
    return {"rows": kept, "count": len(kept), "truncated": truncated}


def seen(value: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The names for a condition over an answer: `rows`, the first `row` (null of none) and `count`.

    Of an answer that was cut off they know that there are more.
    """
    rows = seen_of(value)
    cut = isinstance(rows, Cut)
    row = rows[0] if rows else UNKNOWN if cut else None
    return {**names, "rows": rows, "row": row, "count": AtLeast(len(rows)) if cut else len(rows)}


def judge(expected: Iterable[Assertion], names: Mapping[str, Any], summary: str) -> Judgement:
    """What blocks is looked at in order; a warning never stops. A fault of an expression is a failure."""
    warnings: list[str] = []
    unsure = ""
    for one in expected:
        try:
            holds = condition(one.holds, names)
        except ExpressionError as error:
            return Judgement("failed", f"{one.holds}: {error.message}", tuple(warnings))
        if holds:
            continue
        told = fill(one.message, names)
        if one.severity == "warn":
            warnings.append(told if holds is False else f"not known: {one.holds}")
        elif holds is False:
            return Judgement("failed", told, tuple(warnings))
        else:
            unsure = unsure or f"nobody knows whether {one.holds}"
    return Judgement("unknown" if unsure else "done", unsure or summary, tuple(warnings))


def redacted(rows: Iterable[Row], fields: Sequence[str]) -> list[Row]:
    """Without the values that are not to be kept; null stays null."""
    return [
        {name: "***" if name in fields and value is not None else value for name, value in row.items()}
        for row in rows
    ]
