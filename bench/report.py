"""Figures as tables with ratios, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def percentile(values: Sequence[float], percent: float, scale: float = 1.0) -> float | None:
    """Of sorted values; None of none."""
    if not values:
        return None
    return values[min(len(values) - 1, round(percent / 100 * (len(values) - 1)))] * scale


def figure(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[n]) for row in [titles, *rows]) for n in range(len(titles))]
    lines = [titles, *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if n else cell.ljust(w)
            for n, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def beside(figures: Mapping[str, Mapping[str, Any]], ours: str) -> str:
    """A line a figure, a column a program; in brackets what ours is of it."""
    others = [name for name in figures if name != ours]
    rows = []
    for name in figures[ours]:
        mine = figures[ours][name]
        rows.append([name, figure(mine), *(_with_ratio(mine, figures[other].get(name)) for other in others)])
    return table(["", ours, *others], rows)


def _with_ratio(mine: Any, other: Any) -> str:
    ratio = f" ({mine / other:.2f})" if isinstance(mine, float) and isinstance(other, float) and other else ""
    return f"{figure(other)}{ratio}"


def write(path: Path | None, figures: Mapping[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")
