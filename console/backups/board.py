"""What the Backups and Drills views show, from the folders and repositories, and from the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from console.errors import DbdeckError
from console.model.backup_board import BackupBoard, DrillBoard, backup_board, drill_board
from console.model.backups import TargetDrills
from console.model.drill_history import DrillRecord, records
from console.model.target import Target

DRILL = "backup.drill"
Past = Callable[[], Awaitable[Sequence[dict[str, Any]]]]  # evidence of all drills, the newest first


async def nothing_past() -> Sequence[dict[str, Any]]:
    """Without a ledger nothing is known of earlier drills."""
    return ()


async def read_backups(target: Target, past: Past) -> BackupBoard:
    """A ledger that cannot be read leaves it unknown what was proved, and says so."""
    from console.backups.catalogue import catalogue  # of eight tools: loaded when it is wanted

    found = await catalogue(target.drills)
    drills, problem = await _drills(past)
    own = [one for one in drills if one.target == target.name]
    board = backup_board(target.drills, found, own, datetime.now(UTC))
    return board if not problem else _with(board, problem)


def _with(board: BackupBoard, problem: str) -> BackupBoard:
    return BackupBoard(
        at=board.at,
        rpo=board.rpo,
        sources=board.sources,
        kept=board.kept,
        problems=(*board.problems, problem),
    )


async def read_drills(target: Target, every: Mapping[str, TargetDrills], past: Past) -> DrillBoard:
    drills, problem = await _drills(past)
    now = datetime.now(UTC)
    return drill_board(target.name, target.drills, every, drills, now, problem=problem)


async def _drills(past: Past) -> tuple[tuple[DrillRecord, ...], str]:
    try:
        return records(await past()), ""
    except DbdeckError as error:
        return (), f"what was drilled is unknown: {error.message}"
