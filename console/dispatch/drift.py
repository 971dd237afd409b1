"""Compares what a server keeps of its accounts' passwords with the fingerprints that rotations left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from console.audit.record import Entry
from console.audit.rotations import rotations
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.accounts import Account, Accounts, judged, label
from console.model.drift import Compared, Drift, Drifts, Rotated, compare, unreadable
from console.model.guessing import Stored
from console.model.rotation import Rule
from console.model.verifiers import FINGERPRINT_KEY, fingerprint_key
from console.secret_store import SecretStore

SECONDS = 8.0
_SHUT = "it may not log in, and the server's verifiers are read of those who may"


class Sentinel:
    """Looks when it is told to, and else says what it saw: verifiers are not for a poll.

    `rows` are the ledger's of rotations; it may raise what a ledger raises.
    """

    def __init__(
        self, engine: Engine, rows: Callable[[], Awaitable[Sequence[Entry]]], store: SecretStore | None
    ) -> None:
        self._engine = engine
        self._rows = rows
        self._store = store
        self._wanted = True
        self._seen = Drifts()
        self._same: dict[str, datetime] = {}  # when each was last seen to be ours
        self._looking = asyncio.Lock()

    def again(self) -> None:
        """Look anew at the next call."""
        self._wanted = True

    async def judge(self, found: Accounts, rule: Rule) -> Accounts:
        """Ages and what is overdue: the one answer for the view and for `credential.rotate overdue=true`."""
        return judged(found, rule, await self.look(found))

    async def look(self, found: Accounts) -> Drifts:
        """Raises nothing: what cannot be seen is unknown, and noted."""
        async with self._looking:
            if self._wanted:
                self._wanted = False
                self._seen = await self._in_time(found)
        return self._seen

    async def _in_time(self, found: Accounts) -> Drifts:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._look(found)
        except TimeoutError:
            return Drifts(notes=(_blind(f"it took longer than {SECONDS:g} s to look, and was given up"),))

    async def _look(self, found: Accounts) -> Drifts:
        """The ledger first: where it knows of no rotation here, no key and no verifier is read."""
        try:
            server = (await self._engine.identity()).system_id
            known = rotations(await self._rows(), self._engine.target.name, server)
        except DbdeckError as error:
            return Drifts(notes=(_blind(f"{error.message}. {error.hint}"),))
        mine = [one for one in found.accounts if label(*one.key) in known]
        if not mine:
            return Drifts()
        key, lost = await self._key()
        if key is None:
            return Drifts(of={one.key: Compared(why=lost) for one in mine}, notes=(_blind(lost),))
        return await self._compared(mine, known, key, (server, found.now))

    async def _key(self) -> tuple[bytes | None, str]:
        """Or why there is none."""
        if self._store is None:
            return None, "there is no keyring with the key of fingerprints"
        try:
            kept = await self._store.get(FINGERPRINT_KEY)
        except DbdeckError as error:
            return None, f"the key of fingerprints may not be read: {error.message}"
        key = None if kept is None else fingerprint_key(kept)
        where = f"{FINGERPRINT_KEY} of {self._store.name}"
        return key, "" if key is not None else f"{where} is {'not there' if kept is None else 'no key'}"

    async def _compared(
        self,
        mine: Sequence[Account],
        known: Mapping[str, Rotated],
        key: bytes,
        here: tuple[str, datetime | None],
    ) -> Drifts:
        why = {one.key: unreadable(known[label(*one.key)], key) for one in mine}
        told = {name: Compared(why=reason) for name, reason in why.items() if reason}
        readable = [one for one in mine if not why[one.key]]
        if not readable:
            return Drifts(of=told)
        try:
            stored = await self._engine.verifiers()
        except DbdeckError as error:
            blind = f"{error.message}. {error.hint}"
            told |= {one.key: Compared(why=blind) for one in readable}
            return Drifts(of=told, notes=(_blind(blind),))
        for one in readable:
            told[one.key] = self._one(one, known[label(*one.key)], key, stored, here)
        return Drifts(of=told)

    def _one(
        self,
        one: Account,
        known: Rotated,
        key: bytes,
        stored: Sequence[Stored],
        here: tuple[str, datetime | None],
    ) -> Compared:
        mine = [kept for kept in stored if kept.key == one.key]
        if not mine and not one.may_login:
            return Compared(why=_SHUT)
        # The older password that MySQL keeps beside is ours from before, or nobody's business here.
        kept = [way.verifier for way in mine if not way.which]
        name = label(*one.key)
        seen = compare(known, key, kept, here, self._same.get(name))
        if seen.drift is Drift.SAME and seen.seen_at is not None:
            self._same[name] = seen.seen_at
        return seen


def _blind(why: str) -> str:
    return f"whether passwords were changed outside dbdeck is unknown: {why}"
