"""How far its replicas are behind a source. It does not know: each is asked, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from console.engine.mysql.link import Link
from console.engine.mysql.load import Lag, furthest, lag
from console.errors import DbdeckError
from console.model.target import Target


class Followers:
    """The targets that the config calls replicas of this one, by their monitors; connected when asked."""

    def __init__(self, replicas: Iterable[Target]) -> None:
        self._links = tuple(Link(one) for one in replicas)

    async def lag(self, source: Link) -> Lag:
        """Of the one that is furthest behind. Where of one it is not known, why: that one may be further."""
        number = int((await source.fetch("server_id", "its number"))[0]["id"])
        return furthest(await asyncio.gather(*(_lag(link, number, source.target) for link in self._links)))

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links))


async def _lag(link: Link, number: int, source: Target) -> Lag:
    name = link.target.name
    try:
        async with link.lock:
            found = await lag(link, number)
    except DbdeckError as error:
        return Lag(replica=name, why=f"replica {name} is not reached: {error.message}")
    if found.source:
        return Lag(replica=name, why=f"{name} does not replicate from {source.name}, against the config")
    return msgspec.structs.replace(
        found, replica=name, why=f"replica {name}: {found.why}" if found.why else ""
    )
