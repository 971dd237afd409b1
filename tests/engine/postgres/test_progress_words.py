"""Progress from counters: what is hidden, unknown, or of PostgreSQL 19."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from console.engine.postgres.progress import Found, progress
from console.engine.postgres.progress_rows import Step, repack_step, step
from console.model.sessions import Protection, Session

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def row(kind: str, *counters: int | None, subphase: str | None = None) -> dict[str, Any]:
    told = [*counters, *[0] * (20 - len(counters))]
    params = {f"param{place}": value for place, value in enumerate(told, 1)}
    return {"kind": kind, "pid": 7, "database": 9, "relation": 1, "subphase": subphase} | params


def test_hidden_counters_are_no_progress() -> None:
    assert step(row("VACUUM", None), 180000) is None


def test_a_phase_of_a_later_version_is_its_number() -> None:
    one = step(row("VACUUM", 9, 100, 50), 180000)
    assert one is not None
    assert (one.phase, one.done) == ("phase 9", None)


def test_a_round_begins_with_its_index_pass() -> None:
    first = step(row("VACUUM", 2, 100, 100, 0, 0), 160000)
    second = step(row("VACUUM", 2, 100, 100, 50, 1), 160000)
    assert first is not None
    assert second is not None
    assert (first.rounds, second.rounds) == (1, 2)


def test_a_delay_is_told_where_it_is_measured() -> None:
    counters = [1, 100, 50, 0, 0, 1000, 10, 1, 2, 0, 3_500_000_000]
    measured = step(row("VACUUM", *counters), 180000)
    assert measured is not None
    assert measured.details["delay_seconds"] == "3.5"
    before = step(row("VACUUM", *counters), 170000)
    assert before is not None
    assert "delay_seconds" not in before.details


def test_how_thorough_a_vacuum_is_and_who_began_it_is_told_by_19() -> None:
    counters = [1, 100, 50, 0, 0, 1000, 10, 1, 2, 0, 0, 3, 3]
    told = step(row("VACUUM", *counters), 190000)
    assert told is not None
    assert (told.details["mode"], told.details["started_by"]) == ("failsafe", "autovacuum_wraparound")
    before = step(row("VACUUM", *counters), 180000)
    assert before is not None
    assert "mode" not in before.details


def test_a_build_sorts_without_a_count_and_loads_rows() -> None:
    def build(subphase: str, blocks: int, rows: int) -> Step:
        counters = [1, 0, 0, 0, 0, 0, 5, 0, 403, 2, 3, 500, rows, 0, 0, blocks, 10]
        one = step(row("CREATE INDEX", *counters, subphase=subphase), 180000)
        assert one is not None
        return one

    scanning, sorting, loading = (
        build("scanning table", 100, 0),
        build("sorting live tuples", 0, 0),
        build("loading tuples in tree", 0, 250),
    )
    assert (scanning.phase, scanning.done, scanning.unit) == ("building index: scanning table", 10, "blocks")
    assert (sorting.done, sorting.total) == (None, None)
    assert (loading.done, loading.total, loading.unit) == (250, 500, "rows")


def test_a_pipe_has_no_end_and_a_backup_may_have_none() -> None:
    copy = step(row("COPY", 500, 0, 30, 0, 1, 3), 160000)
    assert copy is not None
    assert (copy.command, copy.done, copy.total) == ("COPY FROM", 500, None)
    assert copy.details == {"rows": "30", "through": "PIPE"}
    backup = step(row("BASEBACKUP", 3, -1, 500, 2, 1), 160000)
    assert backup is not None
    assert (backup.done, backup.total, backup.details) == (500, None, {"tablespaces": "1 of 2"})


def test_repack_is_read_by_the_names_of_its_columns() -> None:
    told = {"command": "REPACK", "phase": "seq scanning heap", "heap_blks_total": 80, "heap_blks_scanned": 20}
    one = repack_step(json.dumps(told | {"a_new_column": 1}))
    assert one == Step(command="REPACK", phase="seq scanning heap", done=20, total=80, unit="blocks")
    assert repack_step(json.dumps({"command": None, "phase": None})) is None
    later = repack_step(json.dumps({"command": "REPACK", "phase": "catch-up"}))
    assert later == Step(command="REPACK", phase="catch-up")


def test_a_worker_that_protects_from_wraparound_is_marked() -> None:
    worker = Session(
        id=7, started_at=BEGAN, kind="autovacuum worker", protection=Protection.WRAPAROUND, query_seconds=60.0
    )
    found = Found(
        row("VACUUM"), Step(command="VACUUM", phase="scanning heap", done=1, total=2, unit="blocks")
    )
    names = {("database", 9): "shop"}
    one = progress(found, {7: worker}, {7: (3, 4)}, names, {(9, 1): "s.t"})
    assert (one.automatic, one.wraparound, one.seconds) == (True, True, 60.0)
    assert (one.object, one.database, one.waits_for) == ("s.t", "shop", (3, 4))
    gone = progress(found, {}, {}, {}, {})
    assert (gone.started_at, gone.automatic, gone.database) == (None, False, "oid 9")
    assert "name unresolved" in gone.object
