"""Binary logs by the headers of their events."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

from console.backups.binlog import chain, look


def log(folder: Path, number: int, *times: int, cut: int = 0) -> Path:
    """With an event of 30 bytes at each time."""
    data = b"\xfebin" + b"".join(struct.pack("<IBIIIH", one, 2, 1, 30, 0, 0) + b"x" * 11 for one in times)
    path = folder / f"binlog.{number:06d}"
    path.write_bytes(data[: len(data) - cut])
    return path


def test_the_first_and_the_last_time_are_read(tmp_path: Path) -> None:
    found = look(log(tmp_path, 1, 100, 200, 300))
    assert (found.first, found.last) == (datetime.fromtimestamp(100, UTC), datetime.fromtimestamp(300, UTC))
    assert found.whole


def test_a_log_that_is_cut_off_ends_before_its_last_event(tmp_path: Path) -> None:
    found = look(log(tmp_path, 1, 100, 200, 300, cut=3))
    assert found.last == datetime.fromtimestamp(200, UTC)
    assert found.whole is False


def test_what_is_encrypted_tells_nothing(tmp_path: Path) -> None:
    path = log(tmp_path, 1, 100)
    path.write_bytes(b"\xfdbin" + path.read_bytes()[4:])
    assert look(path).last is None


def test_a_chain_begins_where_the_backup_ends(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        log(tmp_path, number, 100)
    found = chain(tmp_path, "binlog.000002")
    assert [one.name for one in found.logs] == ["binlog.000002", "binlog.000003"]
    assert found.missing == ()


def test_a_gap_is_named(tmp_path: Path) -> None:
    for number in (1, 4):
        log(tmp_path, number, 100)
    assert chain(tmp_path, "binlog.000001").missing == ("binlog.000002", "binlog.000003")


def test_a_missing_first_log_is_named(tmp_path: Path) -> None:
    log(tmp_path, 7, 100)
    assert chain(tmp_path, "binlog.000006").missing == ("binlog.000006",)
    assert chain(tmp_path, "binlog.000009").missing == ("binlog.000009",)
