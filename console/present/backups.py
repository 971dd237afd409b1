"""Backups as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from console.model.backup_board import BackupBoard, Kept
from console.model.drills import Verdict
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, size

COLUMNS = (
    Column(title="source", width=12, least=8),
    Column(title="backup", width=28, least=16, grow=True),
    Column(title="method", width=13, drop=4),
    Column(title="taken", width=16, drop=3),
    Column(title="age", width=7, align="right"),
    Column(title="size", width=8, align="right", drop=2),
    Column(title="proved", width=13),
    Column(title="when", width=7, align="right", drop=1),
)
EMPTY = "there is no backup"
_TONE = {
    Verdict.PASS: Tone.GOOD,
    Verdict.DEGRADED: Tone.WARN,
    Verdict.FAIL: Tone.BAD,
    Verdict.INCONCLUSIVE: Tone.WARN,
    Verdict.ABORTED: Tone.MUTED,
}


def lines(board: BackupBoard) -> list[Line]:
    return [_line(one, board) for one in board.kept]


def key(one: Kept) -> str:
    return f"{one.backup.source}/{one.backup.id}"


def _line(one: Kept, board: BackupBoard) -> Line:
    backup, drill = one.backup, one.drill
    tones: dict[int, Tone] = {}
    if one.newest and one.age is not None and one.age > board.rpo:
        tones[4] = Tone.BAD
    proved = "never" if drill is None else str(drill.verdict)
    tones[6] = Tone.MUTED if drill is None else _TONE[drill.verdict]
    return Line(
        key=key(one),
        cells=(
            backup.source,
            clean(backup.id, 200),
            backup.method,
            UNKNOWN if backup.started_at is None else f"{backup.started_at:%Y-%m-%d %H:%M}",
            age(one.age),
            size(backup.bytes),
            proved if not backup.faults else f"{proved}, faulty",
            "" if drill is None else age((board.at - drill.started_at).total_seconds()),
        ),
        tone=Tone.BAD if backup.faults else Tone.NORMAL,
        tones={} if backup.faults else tones,
    )


def details(one: Kept) -> list[tuple[str, str]]:
    backup, drill = one.backup, one.drill
    told = [
        ("path", backup.path),
        ("of", " ".join(word for word in (backup.server, backup.label) if word)),
        ("databases", ", ".join(backup.databases)),
        (
            "format",
            " ".join(
                word
                for word in (backup.format, _counted(backup.files, "file") if backup.files else "")
                if word
            ),
        ),
        ("manifest", backup.manifest or "none: a drill compares with the live server"),
        ("WRONG", "; ".join(backup.faults)),
        ("note", "; ".join(backup.notes)),
    ]
    if drill is not None:
        why = "; ".join(drill.reasons) or "all well"
        told.append(("drill", f"{drill.verdict} at {drill.started_at:%Y-%m-%d %H:%M} UTC: {why}"))
        told.append(("report", drill.report))
    return [(label, clean(value, 1000)) for label, value in told if value]


def summary(board: BackupBoard) -> str:
    if not board.sources:
        return "no source of backups is configured (drills.targets in the config)"
    newest = min((one.age for one in board.kept if one.age is not None), default=None)
    held = "no backup" if newest is None else f"newest {age(newest)} old"
    kept = (
        "" if newest is None else (", within the RPO of " if newest <= board.rpo else ", BEYOND the RPO of ")
    )
    promised = age(board.rpo) if kept else ""
    there = f"{_counted(len(board.kept), 'backup')} in {_counted(len(board.sources), 'source')}"
    return f"{there}  ·  {held}{kept}{promised}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def notes(board: BackupBoard) -> Iterable[str]:
    return board.problems


def document(board: BackupBoard) -> list[dict[str, Any]]:
    return [_row(one) for one in board.kept]


def _row(one: Kept) -> dict[str, Any]:
    backup, drill = one.backup, one.drill
    found = dict(msgspec.to_builtins(backup))
    return found | {
        "age_seconds": one.age,
        "newest": one.newest,
        "proved": None if drill is None else drill.verdict,
        "proved_at": None if drill is None else drill.started_at,
        "report": None if drill is None else drill.report,
    }


def beside(board: BackupBoard) -> dict[str, Any]:
    return {"rpo_seconds": board.rpo, "sources": list(board.sources), "problems": list(board.problems)}
