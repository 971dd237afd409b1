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

    def __init__(self, source: Target, replicas: Iterable[Target]) -> None:
        self._source = source.name
        self._links = tuple(Link(one) for one in replicas)

    def __len__(self) -> int:
        return len(self._links)

    async def lag(self, number: int) -> Lag:
        """Behind the server of that number, of the one that is furthest. Where of one it is not known, why:
        that one may be further.
        """
        return furthest(await asyncio.gather(*(_lag(link, number, self._source) for link in self._links)))

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links))


async def _lag(link: Link, number: int, source: str) -> Lag:
    name = link.target.name
    try:
        async with link.lock:
            found = await lag(link, number)
    except DbdeckError as error:
        return Lag(replica=name, why=f"replica {name} is not reached: {error.message}")
    if found.source:
        return Lag(replica=name, why=f"{name} does not replicate from {source}, against the config")
    return msgspec.structs.replace(
        found, replica=name, why=f"replica {name}: {found.why}" if found.why else ""
    )
