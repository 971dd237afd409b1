"""What an exact look finds, where files lie, and that the engine reads all that maintenance needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from console.engine.port import MaintenanceReads
from console.engine.postgres.disk import folder, look
from console.engine.postgres.engine import PostgresEngine
from console.engine.postgres.load import count, load
from console.engine.postgres.measure import LARGE, Way, bloat, function_for, of_index, refusal
from console.model.sessions import Protection, Session, State
from console.model.table_locks import Load
from console.model.target import EngineKind, Login, Target


def test_the_engine_reads_all_that_maintenance_needs() -> None:
    target = Target(name="t", engine=EngineKind.POSTGRES, monitor=Login(user="eye"))
    reads: MaintenanceReads = PostgresEngine(target)
    assert reads is not None


def row(**over: Any) -> dict[str, Any]:
    return {
        "oid": 1,
        "kind": "r",
        "method": "heap",
        "temporary": False,
        "valid": True,
        "bytes": 8192,
        "block": 8192,
        "options": None,
        "database": "shop",
        "schema": "public",
        "sql_schema": "public",
        "usable": True,
        "functions": ["pgstattuple", "pgstattuple_approx", "pgstatindex"],
    } | over


@pytest.mark.parametrize(
    ("over", "function"),
    [
        ({}, "pgstattuple"),
        ({"bytes": None}, "pgstattuple"),
        ({"bytes": LARGE}, "pgstattuple_approx"),
        ({"kind": "i", "bytes": LARGE}, "pgstatindex"),
    ],
)
def test_the_way_to_measure(over: dict[str, Any], function: str) -> None:
    assert function_for(row(**over)) == function


@pytest.mark.parametrize(
    ("over", "function", "why"),
    [
        ({}, "pgstattuple", ""),
        ({"kind": "p"}, "pgstattuple", "partitions"),
        ({"temporary": True}, "pgstattuple", "temporary"),
        ({"method": "gin"}, "pgstatindex", "gin"),
        ({"method": "columnar"}, "pgstattuple", "columnar"),
        ({"valid": False, "method": "btree"}, "pgstatindex", "not valid"),
        ({"schema": None}, "pgstattuple", "CREATE EXTENSION pgstattuple;"),
        ({"usable": False}, "pgstattuple", 'GRANT USAGE ON SCHEMA public TO "E y e";'),
        ({"functions": []}, "pgstattuple", 'GRANT pg_stat_scan_tables TO "E y e";'),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(over: dict[str, Any], function: str, why: str) -> None:
    told = refusal(row(**over), function, "E y e")
    assert why in told
    assert bool(told) is bool(why)


def test_the_free_space_map_is_believed_to_its_own_step() -> None:
    seen = {"dead": 100, "free": 10_000, "bytes": 256_000}
    whole = bloat(Way(row=row(), function="pgstattuple"), seen)
    quick = bloat(Way(row=row(), function="pgstattuple_approx"), seen)
    assert (whole.low, whole.wasted, whole.high) == (10_100, 10_100, 10_100)
    assert (quick.low, quick.wasted, quick.high) == (9_100, 10_100, 11_100)


def test_leaves_lack_what_a_rebuild_would_fill() -> None:
    assert of_index({"leaves": 100, "empty": 2, "density": 45.0}, 8192, 90).wasted == 52 * 8192
    assert of_index({"leaves": 100, "empty": 0, "density": 95.0}, 8192, 90).wasted == 0
    assert of_index({"leaves": 0, "empty": 0, "density": None}, 8192, 90).wasted == 0


# ---- disk ----------------------------------------------------------------------------------------


def test_a_folder_is_the_tablespaces_or_the_data_folder() -> None:
    assert folder({"tablespace": "/fast", "data": "/data"}) == "/fast"
    assert folder({"tablespace": "", "data": "/data"}) == "/data"
    assert folder({"tablespace": None, "data": None}) == ""


def test_a_folder_of_this_machine_has_free_space_and_one_elsewhere_has_a_reason(tmp_path: Path) -> None:
    socket = tmp_path / ".s.PGSQL.5432"
    socket.touch()
    here = look(str(tmp_path), str(socket))
    assert (here.place, here.why) == (str(tmp_path), "")
    assert (here.free or 0) > 0
    gone = look(str(tmp_path / "none"), str(socket))
    assert (gone.free, gone.why) == (None, "it cannot be looked at from here: No such file or directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_a_folder_of_another_owner_than_the_socket_is_not_the_servers(tmp_path: Path) -> None:
    socket = tmp_path / ".s.PGSQL.5432"
    socket.touch()
    os.chown(socket, 65534, 65534)
    assert "container" in look(str(tmp_path), str(socket)).why


# ---- load ----------------------------------------------------------------------------------------


def session(**over: Any) -> Session:
    return Session(id=1, started_at=None, **({"state": State.ACTIVE} | over))


def test_only_clients_that_work_are_counted() -> None:
    others = [
        session(state=State.IDLE),
        session(kind="walsender"),
        session(kind="autovacuum worker", visible=False),
        session(protection=Protection.OWN),
    ]
    assert count([session(), session(), *others]) == 2
    assert count([]) == 0
    assert count([session(), session(visible=False)]) is None


def replica(name: str, bytes_: int | None, seconds: float | None, state: str = "streaming") -> dict[str, Any]:
    return {"pid": 1, "state": state, "name": name, "bytes": bytes_, "seconds": seconds, "halted": ""}


def test_the_replica_furthest_behind_is_told() -> None:
    rows = [
        replica("a", 10, 5.0),
        replica("b", 20, None),
        replica("c", None, None),
        replica("d", 99, 9.0, "backup"),
    ]
    assert load(3, rows) == Load(running=3, lag_bytes=20, lag_seconds=None, replica="b")
    assert load(3, [replica("c", None, None)]) == Load(running=3)
