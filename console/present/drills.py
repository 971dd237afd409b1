"""Drills, their trends, and what is overdue, as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from console.model.backup_board import DrillBoard
from console.model.drill_history import DrillRecord, SourceState
from console.model.drills import PhaseName, Verdict
from console.present.plots import sparkline
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, size, span

COLUMNS = (
    Column(title="drilled", width=16),
    Column(title="source", width=12, least=8),
    Column(title="verdict", width=12),
    Column(title="RTO", width=7, align="right"),
    Column(title="RPO", width=7, align="right"),
    Column(title="checks", width=7, align="right", drop=3),
    Column(title="size", width=8, align="right", drop=4),
    Column(title="backup", width=20, least=10, drop=5),
    Column(title="why", width=20, least=10, grow=True),
)
TRENDS = (
    Column(title="source", width=12, least=8),
    Column(title="proved", width=8, align="right"),
    Column(title="due", width=12),
    Column(title="restored in, over time", width=32, least=12, grow=True),
    Column(title="last", width=7, align="right"),
    Column(title="promised", width=8, align="right", drop=2),
    Column(title="data lost, over time", width=32, least=12),
    Column(title="last", width=7, align="right"),
    Column(title="promised", width=8, align="right", drop=1),
)
EMPTY = "no drill is in the ledger"
_SPARKS = 32
_TONE = {
    Verdict.PASS: Tone.GOOD,
    Verdict.DEGRADED: Tone.WARN,
    Verdict.FAIL: Tone.BAD,
    Verdict.INCONCLUSIVE: Tone.WARN,
    Verdict.ABORTED: Tone.MUTED,
}


def lines(board: DrillBoard) -> list[Line]:
    return [_line(one) for one in board.drills]


def _line(one: DrillRecord) -> Line:
    tones = {2: _TONE[one.verdict]}
    if _missed(one.rto_seconds, one.rto_target):
        tones[3] = Tone.BAD
    if _missed(one.rpo_seconds, one.rpo_target):
        tones[4] = Tone.BAD
    return Line(
        key=one.id,
        cells=(
            f"{one.started_at:%Y-%m-%d %H:%M}",
            one.source,
            one.verdict,
            span(one.rto_seconds),
            age(one.rpo_seconds),
            f"{one.made}/{one.checks}",
            size(one.bytes),
            clean(one.backup, 200),
            clean(one.reasons[0], 200) if one.reasons else "",
        ),
        tones=tones,
    )


def _missed(seconds: float | None, promised: float | None) -> bool:
    return seconds is not None and promised is not None and seconds > promised


def details(one: DrillRecord) -> list[tuple[str, str]]:
    phases = _times(one.phases, "  ")
    told = [
        ("verdict", f"{one.verdict.upper()}: {'; '.join(one.reasons) or 'all well'}"),
        ("failed", "; ".join(one.failed)),
        ("RTO", f"{span(one.rto_seconds)} of {span(one.rto_target)} promised"),
        ("RPO", f"{age(one.rpo_seconds)} of {age(one.rpo_target)} promised"),
        ("time", phases),
        ("baseline", one.baseline),
        ("report", f"{one.report} on {one.host}" if one.report else "was not written"),
        ("sha256", one.sha256),
        ("action", one.action_id),
    ]
    return [(label, clean(value, 1000)) for label, value in told if value]


def summary(board: DrillBoard) -> str:
    due = [one for one in board.states if one.overdue is not None]
    held = board.coverage
    told = [f"{held.proved} of {held.targets} targets proved within {held.days} days"]
    told.append(f"{len(due)} of {len(board.states)} sources overdue here" if due else "none overdue here")
    return "  ·  ".join(told)


def notes(board: DrillBoard) -> Iterable[str]:
    if board.problem:
        yield board.problem
    for one in board.states:
        if one.overdue is not None:
            last = (
                "was never proved"
                if one.proved_at is None
                else f"was proved {age((board.at - one.proved_at).total_seconds())} ago"
            )
            yield f"{one.source} {last}, due every {age(one.cadence)}"


def _times(phases: Mapping[str, float], between: str) -> str:
    """In the order in which they come, whatever order the ledger keeps them in."""
    order = [str(name) for name in PhaseName]
    ranked = sorted(phases.items(), key=lambda one: order.index(one[0]) if one[0] in order else len(order))
    return between.join(f"{name} {span(seconds)}" for name, seconds in ranked)


def concluded(found: Iterable[Mapping[str, Any]]) -> list[tuple[Tone, str]]:
    """What an outcome tells of its drills."""
    said: list[tuple[Tone, str]] = []
    for one in found:
        verdict = Verdict(one["verdict"])
        made = f"{one.get('made')} of {one.get('checks')} checks made"
        named = f"{one['source']} {clean(str(one['backup']), 200)}".strip()  # there may be no backup at all
        said.append((_TONE[verdict], f"  {named}: {verdict.upper()}, {made}"))
        said += [(Tone.BAD, f"    {clean(reason, 500)}") for reason in one.get("reasons") or ()]
        phases = _times(one.get("phases") or {}, ", ")
        said.append((Tone.MUTED, f"    {phases}"))
        said.append((Tone.MUTED, f"    report: {one.get('report') or 'was not written'}"))
    return said


# ---- trends -------------------------------------------------------------------------------------------


def trend_lines(board: DrillBoard) -> list[Line]:
    return [_trend(one, board) for one in board.states]


def _trend(state: SourceState, board: DrillBoard) -> Line:
    own = [one for one in reversed(board.drills) if one.source == state.source]
    rto, rpo = board.promised
    proved = None if state.proved_at is None else (board.at - state.proved_at).total_seconds()
    due = (
        "in time"
        if state.overdue is None
        else f"{age(state.overdue)} late"
        if proved is not None
        else "never proved"
    )
    last = own[-1] if own else None
    tones = {2: Tone.GOOD if state.overdue is None else Tone.BAD}
    if last is not None and _missed(last.rto_seconds, rto):
        tones[4] = Tone.BAD
    if last is not None and _missed(last.rpo_seconds, rpo):
        tones[7] = Tone.BAD
    return Line(
        key=state.source,
        cells=(
            state.source,
            age(proved),
            due,
            sparkline([one.rto_seconds for one in own], _SPARKS),
            span(last.rto_seconds) if last else UNKNOWN,
            age(rto),
            sparkline([one.rpo_seconds for one in own], _SPARKS),
            age(last.rpo_seconds) if last else UNKNOWN,
            age(rpo),
        ),
        tones=tones,
    )


def trend_details(state: SourceState, drills: Sequence[DrillRecord]) -> list[tuple[str, str]]:
    own = [one for one in drills if one.source == state.source]
    verdicts = " ".join(one.verdict for one in reversed(own[:_SPARKS]))
    told = [
        ("method", state.method),
        ("cadence", f"every {age(state.cadence)}"),
        ("verdicts", verdicts or "none yet"),
        ("last", f"{own[0].verdict}: {'; '.join(own[0].reasons) or 'all well'}" if own else ""),
    ]
    return [(label, clean(value, 500)) for label, value in told if value]


# ---- documents ----------------------------------------------------------------------------------------


def document(board: DrillBoard) -> list[dict[str, Any]]:
    return [dict(msgspec.to_builtins(one)) for one in board.drills]


def trend_document(board: DrillBoard) -> list[dict[str, Any]]:
    return [dict(msgspec.to_builtins(one)) for one in board.states]


def beside(board: DrillBoard) -> dict[str, Any]:
    return {"sources": trend_document(board), "coverage": msgspec.to_builtins(board.coverage)}
