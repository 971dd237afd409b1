"""The counters of pg_stat_get_progress_info -> how far a command is. Pure.

What each counter means: src/include/commands/progress.h, and the definitions of the pg_stat_progress_*
views (PostgreSQL manual 27.4), with which a test compares this module on every server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from console.engine.postgres.rows import Record

Counters = Sequence[int]
COUNTERS = 20  # PGSTAT_NUM_PROGRESS_PARAM in backend_progress.h

VACUUM_PHASES = (
    "initializing",
    "scanning heap",
    "vacuuming indexes",
    "vacuuming heap",
    "cleaning up indexes",
    "truncating heap",
    "performing final cleanup",
)
VACUUM_MODES = ("", "normal", "aggressive", "failsafe")
VACUUM_BEGINNERS = ("", "manual", "autovacuum", "autovacuum_wraparound")
ANALYZE_PHASES = (
    "initializing",
    "acquiring sample rows",
    "acquiring inherited sample rows",
    "computing statistics",
    "computing extended statistics",
    "finalizing analyze",
)
CLUSTER_PHASES = (
    "initializing",
    "seq scanning heap",
    "index scanning heap",
    "sorting tuples",
    "writing new heap",
    "swapping relation files",
    "rebuilding index",
    "performing final cleanup",
)
INDEX_PHASES = (
    "initializing",
    "waiting for writers before build",
    "building index",
    "waiting for writers before validation",
    "index validation: scanning index",
    "index validation: sorting tuples",
    "index validation: scanning table",
    "waiting for old snapshots",
    "waiting for readers before marking dead",
    "waiting for readers before dropping",
)
BACKUP_PHASES = (
    "initializing",
    "waiting for checkpoint to finish",
    "estimating backup size",
    "streaming database files",
    "waiting for wal archiving to finish",
    "transferring wal files",
)
INDEX_COMMANDS = ("", "CREATE INDEX", "CREATE INDEX CONCURRENTLY", "REINDEX", "REINDEX CONCURRENTLY")
BUILDS = INDEX_COMMANDS[1]  # the kind of all their rows
CLUSTER_COMMANDS = ("", "CLUSTER", "VACUUM FULL")
COPY_COMMANDS = ("", "COPY FROM", "COPY TO")
COPY_ENDS = ("", "FILE", "PROGRAM", "PIPE", "CALLBACK")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Where a command is. `relation` is another oid it works on: the index, or the partition analysed.

    `locker` is the session it waits for by its own word.
    """

    command: str
    phase: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    rounds: int | None = None
    relation: int | None = None
    locker: int | None = None
    details: dict[str, str] = {}


def step(row: Record, version: int) -> Step | None:
    """None where the counters are hidden from this login."""
    if row["param1"] is None:
        return None
    counters = [0, *(row[f"param{place}"] for place in range(1, COUNTERS + 1))]
    return _KINDS[row["kind"]](counters, row["subphase"] or "", version)


def _word(words: Sequence[str], place: int) -> str:
    """A phase of a later version has no name here; its number is better than a wrong one."""
    return words[place] if 0 <= place < len(words) else f"phase {place}"


def _vacuum(at: Counters, _: str, version: int) -> Step:
    phase = _word(VACUUM_PHASES, at[1])
    done, total, unit = {
        "scanning heap": (at[3], at[2], "blocks"),
        "vacuuming heap": (at[4], at[2], "blocks"),
    }.get(phase, (None, None, ""))
    if version >= 170000 and phase in ("vacuuming indexes", "cleaning up indexes"):
        done, total, unit = at[10], at[9], "indexes"
    return Step(
        command="VACUUM",
        phase=phase,
        done=done,
        total=total,
        unit=unit,
        rounds=at[5] + (phase == "vacuuming indexes"),
        details=_dead(at, version),
    )


def _dead(at: Counters, version: int) -> dict[str, str]:
    """What the vacuum remembers of dead rows; 17 counts their bytes, because it keeps them in a tree."""
    if version < 170000:
        return {"dead_rows": str(at[7]), "dead_rows_at_most": str(at[6])}
    found = {
        "dead_rows": str(at[8]),
        "dead_rows_bytes": str(at[7]),
        "dead_rows_bytes_at_most": str(at[6]),
    }
    return found | (_delay(at[11]) if version >= 180000 else {}) | (_why(at) if version >= 190000 else {})


def _why(at: Counters) -> dict[str, str]:
    """19 says how thorough a vacuum is, and who began it."""
    said = {"mode": _word(VACUUM_MODES, at[12]), "started_by": _word(VACUUM_BEGINNERS, at[13])}
    return {name: word for name, word in said.items() if word}


def _delay(nanoseconds: int) -> dict[str, str]:
    """18 measures it with track_cost_delay_timing only, and else says 0."""
    return {"delay_seconds": f"{nanoseconds / 1e9:.1f}"} if nanoseconds else {}


def _analyze(at: Counters, _: str, version: int) -> Step:
    phase = _word(ANALYZE_PHASES, at[1])
    done, total, unit = {
        "acquiring sample rows": (at[3], at[2], "blocks"),
        "acquiring inherited sample rows": (at[3], at[2], "blocks"),
        "computing extended statistics": (at[5], at[4], "statistics"),
    }.get(phase, (None, None, ""))
    details = {"partitions": f"{at[7]} of {at[6]}"} if at[6] else {}
    return Step(
        command="ANALYZE",
        phase=phase,
        done=done,
        total=total,
        unit=unit,
        relation=at[8] or None,
        details=details | (_delay(at[9]) if version >= 180000 else {}),
    )


def _cluster(at: Counters, _: str, __: int) -> Step:
    phase = _word(CLUSTER_PHASES, at[2])
    done, total, unit = rewriting(
        phase, {"scanned": at[4], "written": at[5], "blocks": at[6], "read": at[7], "rebuilt": at[8]}
    )
    return Step(
        command=_word(CLUSTER_COMMANDS, at[1]),
        phase=phase,
        done=done,
        total=total,
        unit=unit,
        relation=at[3] or None,
        details={"rows_written": str(at[5])},
    )


def rewriting(phase: str, at: Mapping[str, int]) -> tuple[int | None, int | None, str]:
    """Nobody knows before how many rows an index scan or how many indexes there will be."""
    return {
        "seq scanning heap": (at["read"], at["blocks"], "blocks"),
        "index scanning heap": (at["scanned"], None, "rows"),
        "writing new heap": (at["written"], at["scanned"] or None, "rows"),
        "rebuilding index": (at["rebuilt"], None, "indexes"),
    }.get(phase, (None, None, ""))


def _index(at: Counters, subphase: str, __: int) -> Step:
    phase = _word(INDEX_PHASES, at[10])
    if phase == "building index" and subphase:
        phase = f"{phase}: {subphase}"
    done, total, unit = None, None, ""
    if phase.startswith("waiting"):
        done, total, unit = at[5], at[4], "sessions"
    elif "sorting" not in phase:
        done, total, unit = next(
            (
                (at[d], at[t], unit)
                for d, t, unit in ((17, 16, "blocks"), (13, 12, "rows"))
                if at[t] and phase != "initializing"
            ),
            (None, None, ""),
        )
    return Step(
        command=_word(INDEX_COMMANDS, at[1]),
        phase=phase,
        done=done,
        total=total,
        unit=unit,
        relation=at[7] or None,
        locker=(at[6] or None) if phase.startswith("waiting") else None,
        details={"partitions": f"{at[15]} of {at[14]}"} if at[14] else {},
    )


def _copy(at: Counters, _: str, version: int) -> Step:
    details = {"rows": str(at[3]), "rows_excluded": str(at[4]), "through": _word(COPY_ENDS, at[6])}
    if version >= 170000:
        details["rows_skipped"] = str(at[7])
    return Step(
        command=_word(COPY_COMMANDS, at[5]),
        done=at[1],
        total=at[2] or None,  # 0: a pipe has no end that is known
        unit="bytes",
        details={name: value for name, value in details.items() if value not in ("0", "")},
    )


def _backup(at: Counters, _: str, __: int) -> Step:
    phase = _word(BACKUP_PHASES, at[1])
    streaming = phase == "streaming database files"
    return Step(
        command="BASE BACKUP",
        phase=phase,
        done=at[3] if streaming else None,
        total=at[2] if streaming and at[2] > 0 else None,  # -1: its size was not estimated
        unit="bytes" if streaming else "",
        details={"tablespaces": f"{at[5]} of {at[4]}"} if at[4] else {},
    )


_KINDS: Mapping[str, Callable[[Counters, str, int], Step]] = {
    "VACUUM": _vacuum,
    "ANALYZE": _analyze,
    "CLUSTER": _cluster,
    "CREATE INDEX": _index,
    "COPY": _copy,
    "BASEBACKUP": _backup,
}


def repack_step(columns: str) -> Step | None:
    """PostgreSQL 19: the row of pg_stat_progress_repack as JSON, by those of its columns that are there."""
    row: Mapping[str, Any] = json.loads(columns)
    if row.get("phase") is None:
        return None
    names = {
        "scanned": "heap_tuples_scanned",
        "written": "heap_tuples_written",
        "blocks": "heap_blks_total",
        "read": "heap_blks_scanned",
        "rebuilt": "index_rebuild_count",
    }
    done, total, unit = rewriting(
        row["phase"], {ours: int(row.get(name) or 0) for ours, name in names.items()}
    )
    return Step(
        command=row.get("command") or "REPACK", phase=row["phase"], done=done, total=total or None, unit=unit
    )
