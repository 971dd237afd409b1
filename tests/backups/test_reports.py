"""Earlier reports on this machine are what a new one is plotted with."""

from __future__ import annotations

import json
from pathlib import Path

from console.backups.reports import earlier


def write(folder: Path, day: int, source: str = "nightly", **more: object) -> None:
    at = f"2026-11-{day:02}T03:00:00Z"
    values = {"id": str(day), "source": source, "started_at": at, "verdict": "pass", **more}
    (folder / f"202611{day:02}T030000Z-{source}-{day:08}.json").write_text(json.dumps(values))


def test_they_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    for day in (3, 1, 2):
        write(tmp_path, day, rto_seconds=float(day), tools={"postgres": "17"})
    assert [one.rto_seconds for one in earlier(tmp_path, "nightly")] == [1.0, 2.0, 3.0]


def test_another_source_whose_name_is_alike_is_not_ours(tmp_path: Path) -> None:
    write(tmp_path, 1, "nightly-base")
    write(tmp_path, 2, "nightly")
    assert [one.id for one in earlier(tmp_path, "nightly")] == ["2"]


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "20261102T030000Z-nightly-x.json").write_text("{")
    (tmp_path / "20261103T030000Z-nightly-y.json").mkdir()
    assert len(earlier(tmp_path, "nightly")) == 1
    assert earlier(tmp_path / "nowhere", "nightly") == []
