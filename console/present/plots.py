"""Plots as SVG and as text; pure, no script, no font, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 760, 190, 70, 28, 22
_INK, _BLUE, _RED = "#57606a", "#0969da", "#cf222e"
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*#@"


def line_plot(
    label: str,
    points: Sequence[tuple[datetime, float]],
    limit: float | None,
    say: Callable[[float], str],
) -> str:
    """Values over time, the oldest first, with a dashed line at what was promised. Empty without points."""
    if not points:
        return ""
    top = max([value for _, value in points] + ([limit] if limit is not None else [])) * 1.1 or 1.0
    first, last = points[0][0], points[-1][0]
    length = (last - first).total_seconds() or 1.0

    def x(at: datetime) -> float:
        share = (at - first).total_seconds() / length if first != last else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - 20)

    def y(value: float) -> float:
        return _TOP + (1 - value / top) * (_HEIGHT - _TOP - _BOTTOM)

    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">',
        _word(_LEFT, 14, label),
        f'<polyline points="{path}" fill="none" stroke="{_BLUE}" stroke-width="2"/>',
    ]
    for at, value in points:
        told = escape(f"{at:%Y-%m-%d %H:%M}: {say(value)}")
        place = f'cx="{x(at):.1f}" cy="{y(value):.1f}"'
        parts.append(f'<circle {place} r="3.5" fill="{_BLUE}"><title>{told}</title></circle>')
    if limit is not None:
        parts.append(_rule(y(limit), _RED, ' stroke-dasharray="6 4"'))
        parts.append(_word(4, y(limit) + 4, say(limit), colour=_RED))
    parts.append(_rule(_HEIGHT - _BOTTOM, _INK))
    parts.append(_word(_LEFT, _HEIGHT - 8, f"{first:%Y-%m-%d}"))
    if first != last:
        parts.append(_word(_WIDTH - 20, _HEIGHT - 8, f"{last:%Y-%m-%d}", anchor="end"))
    return "".join([*parts, "</svg>"])


def _word(x: float, y: float, text: str, *, colour: str = _INK, anchor: str = "start") -> str:
    at = f'x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="12" text-anchor="{anchor}"'
    return f"<text {at}>{escape(text)}</text>"


def _rule(y: float, colour: str, more: str = "") -> str:
    return f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"{more}/>'


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """(label, value, value in words) as horizontal bars."""
    if not rows:
        return ""
    most = max(value for _, value, _ in rows) or 1.0
    height = 26 * len(rows) + 6
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="time by phase">']
    for place, (label, value, said) in enumerate(rows):
        top = 26 * place + 4
        width = max(1.0, value / most * (_WIDTH - 220))
        parts.append(_word(0, top + 15, label))
        parts.append(f'<rect x="100" y="{top}" width="{width:.1f}" height="20" fill="{_BLUE}"/>')
        parts.append(_word(106 + width, top + 15, said))
    return "".join([*parts, "</svg>"])


def sparkline(
    values: Sequence[float | None], width: int, *, ascii_only: bool = False, least: float = 0.0
) -> str:
    """The last values as one character each, from zero to the largest, or to `least` where all are smaller; a
    blank where nothing is known.
    """
    signs = _ASCII if ascii_only else _BLOCKS
    kept = list(values)[-width:]
    most = max((value for value in kept if value is not None), default=0.0)
    most = max(most, least)
    if most <= 0:
        return "".join(" " if value is None else signs[0] for value in kept)
    last = len(signs) - 1
    return "".join(" " if value is None else signs[min(last, round(value / most * last))] for value in kept)
