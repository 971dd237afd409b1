"""The locks of a script: looked at again and again by a second connection, and put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from console.engine.port import Engine
from console.errors import DbdeckError, PrivilegeMissing
from console.model.rehearsals import HeldLock
from console.model.sessions import is_ours
from console.model.table_locks import TableLock

LOOK_SECONDS = 0.05
Pair = tuple[str, str]

# PostgreSQL manual, table 13.2, weakest first, and whom each keeps waiting.
_MODES = {
    "AccessShareLock": "",
    "RowShareLock": "",
    "RowExclusiveLock": "indexes being made without CONCURRENTLY",
    "ShareUpdateExclusiveLock": "VACUUM and other changes of its definition",
    "ShareLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ExclusiveLock": "writes",
    "AccessExclusiveLock": "reads and writes",
    # Metadata locks (MySQL manual 10.11.4, mdl.h), weakest first.
    "INTENTION_EXCLUSIVE": "",
    "SHARED": "",
    "SHARED_HIGH_PRIO": "",
    "SHARED_READ": "",
    "SHARED_WRITE": "",
    "SHARED_WRITE_LOW_PRIO": "",
    "SHARED_UPGRADABLE": "other changes of its definition",
    "SHARED_READ_ONLY": "writes",
    "SHARED_NO_WRITE": "writes",
    "SHARED_NO_READ_WRITE": "reads and writes",
    "EXCLUSIVE": "reads and writes",
}
_STRENGTH = {mode: place for place, mode in enumerate(_MODES)}


class _Seen(NamedTuple):
    mode: str
    first: float
    last: float


class Sampler:
    """It looks every 50 ms at who holds a lock on tables that were there before; not at its own."""

    def __init__(self, engine: Engine, tables: Sequence[Pair]) -> None:
        self._engine = engine
        self._tables = tables
        self._seen: dict[tuple[str, str], _Seen] = {}
        self.looks = 0
        self.unseen = ""

    async def watch(self) -> None:
        """Until cancelled, or until the server does not let it look: `unseen` says why."""
        while True:
            start = time.monotonic()
            try:
                self.take(await self._engine.table_locks(self._tables), start)
            except PrivilegeMissing as error:
                self.unseen = error.message
                return
            except DbdeckError as error:
                self.unseen = error.message  # behind a lock on a catalog; it may go away
            await asyncio.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - start)))

    def take(self, locks: Iterable[TableLock], now: float) -> None:
        self.looks += 1
        self.unseen = ""
        for one in locks:
            if not one.granted or one.part or is_ours(one.session.application):
                continue
            name = f"{one.table} ({one.index})" if one.index else one.table
            before = self._seen.get((name, one.mode))
            first = before.first if before is not None else now
            self._seen[name, one.mode] = _Seen(one.mode, first, now)

    def held(self, exact: Mapping[str, str]) -> tuple[HeldLock, ...]:
        """The strongest of each, with what is known to have been held at the end of its transaction."""
        found: dict[str, HeldLock] = {name: _lock(name, mode, None) for name, mode in exact.items()}
        for (name, mode), seen in self._seen.items():
            before = found.get(name)
            if before is None or strength(mode) >= strength(before.mode):
                found[name] = _lock(name, mode, round(seen.last - seen.first + LOOK_SECONDS, 2))
        return tuple(
            sorted(found.values(), key=lambda one: (-strength(one.mode), -(one.seconds or 0), one.relation))
        )


def strength(mode: str) -> int:
    """A mode nobody knows is stronger than all: it is not to be missed."""
    return _STRENGTH.get(mode, len(_STRENGTH))


def strongest(found: list[tuple[str, str]]) -> dict[str, str]:
    """The strongest mode of each relation."""
    kept: dict[str, str] = {}
    for name, mode in found:
        if name not in kept or strength(mode) > strength(kept[name]):
            kept[name] = mode
    return kept


def _lock(name: str, mode: str, seconds: float | None) -> HeldLock:
    return HeldLock(relation=name, mode=mode, seconds=seconds, keeps=_MODES.get(mode, ""))
