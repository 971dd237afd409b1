"""What only a look at a server and at its replicas together can tell."""

from __future__ import annotations

from collections.abc import Sequence

from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.indexes import IndexHealth, beside_replicas


async def index_health(engine: Engine, replicas: Sequence[Engine]) -> IndexHealth:
    """Unused indexes are those that no replica uses either. A replica that cannot be asked is a note."""
    health = await engine.index_health()
    found = {replica.target.name: await _of_replica(engine, replica) for replica in replicas}
    return beside_replicas(health, found)


async def _of_replica(engine: Engine, replica: Engine) -> IndexHealth | str:
    try:
        mine, its = await engine.identity(), await replica.identity()
        if mine.flavor == "postgresql" and mine.system_id != its.system_id:
            return "it is no replica of this server (another system identifier)"
        return await replica.index_health()
    except DbdeckError as error:
        return error.message
