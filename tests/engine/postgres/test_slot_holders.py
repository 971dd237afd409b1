"""Slots as holders of the horizon, from their rows."""

from __future__ import annotations

from typing import Any

from console.engine.postgres.horizon import of_slots
from console.engine.postgres.waits import Activity


def slot(**over: Any) -> Any:
    row = {
        "name": "cdc",
        "kind": "logical",
        "xmin_age": None,
        "catalog_xmin_age": 7,
        "active_pid": None,
        "wal_status": "reserved",
        "invalidation": None,
        "synced": False,
    }
    return row | over


def remedies(*rows: Any) -> list[str]:
    return [one.holder.remedy for one in of_slots(rows, Activity([], {}))]


def test_what_the_primary_holds_is_not_dropped_on_its_standby() -> None:
    assert remedies(slot()) == ["slot.drop name=cdc (nobody reads from it now)"]
    assert remedies(slot(synced=True)) == [
        "it is the primary's slot, synchronised to here: what ends it ends it there"
    ]


def test_what_is_lost_holds_nothing() -> None:
    assert remedies(slot(wal_status="lost"), slot(invalidation="idle_timeout")) == []
