"""What a plan tells where the server shares its writes with others.

Galera runs DDL in total order isolation (wsrep_OSU_method, Galera's manual, "Schema Upgrades"): each node
runs it at the same place among all commits, which wait for it, those on other tables and nodes, too.
`lock=none` changes nothing of that.
"""

from __future__ import annotations

from typing import Final

from actions.table_statements import POSTGRES
from console.engine.port import Engine
from console.model.cluster import GALERA, Cluster
from console.model.target import ServerIdentity

DDL: Final = (
    "Galera: all nodes do it at the same time (wsrep_OSU_method TOI, its default), and until each of them is "
    "done no commit on any table of any node of the cluster goes on"
)
SETTING: Final = "{kind}: the other members of the cluster keep theirs; set it on each"


async def cluster_of(engine: Engine, server: ServerIdentity) -> Cluster | None:
    """None where it is a part of none, or that is hidden. Raises an Unreachable error."""
    return None if server.flavor == POSTGRES else (await engine.pulse()).cluster


async def of_ddl(engine: Engine, server: ServerIdentity) -> tuple[str, ...]:
    found = await cluster_of(engine, server)
    return (DDL,) if found is not None and found.kind == GALERA else ()


async def of_setting(engine: Engine, server: ServerIdentity) -> tuple[str, ...]:
    found = await cluster_of(engine, server)
    return () if found is None else (SETTING.format(kind=found.kind),)
