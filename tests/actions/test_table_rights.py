"""Rights that maintenance asks for before it is recorded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actions import draft
from actions import table_statements as statements
from actions.healing import MaintainDatabase
from actions.in_the_way import EXCLUSIVE
from actions.tables import Maintenance, OptimizeTable
from console.dispatch.action import Plan, Risk
from console.model.tables import Table
from tests.fakes import IDENTITY, NOW


def plan(flavor: Any, version: int, *, replicate: bool) -> Plan:
    """Of one OPTIMIZE."""
    server = msgspec.structs.replace(IDENTITY, flavor=flavor, version_num=version)
    table = Table(schema="shop", name="orders")
    statement = statements.optimize(server, "shop", "orders", replicate=replicate)
    job = draft.table_job(table, "optimize", statement, EXCLUSIVE)
    return Plan(
        action="test",
        target="shop",
        risk=Risk.MEDIUM,
        args={},
        subject={"jobs": msgspec.to_builtins([job])},
        statements=(statement.shown,),
        server=server,
        made_at=NOW,
    )


def wanted(action: Maintenance, made: Plan) -> list[str]:
    return [word for need in action.needs(made) for word in need.privileges]


@pytest.mark.parametrize("action", [OptimizeTable(), MaintainDatabase()], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("flavor", "version", "replicate", "local"),
    [
        ("mysql", 80400, False, True),
        ("mysql", 80036, False, False),
        ("mysql", 80400, True, False),
        ("mariadb", 110400, False, False),
    ],
)
def test_keeping_optimize_from_the_replicas_is_a_right_of_mysql_since_84(
    action: Maintenance, flavor: str, version: int, replicate: bool, local: bool
) -> None:
    found = wanted(action, plan(flavor, version, replicate=replicate))
    assert found == ["SELECT", "INSERT", *(["OPTIMIZE_LOCAL_TABLE"] if local else [])]
