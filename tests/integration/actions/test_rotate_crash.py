"""A rotation that dies before or after any of its effects ends, when resumed, as if nothing had been."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import actions
from console.audit.ledger import open_ledger
from console.audit.record import Entry as Ledgered
from console.audit.record import Kind
from console.dispatch.action import Approval
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.reconcile import reconcile
from console.dispatch.registry import Registry
from console.engine.open import open_engine, open_operator
from console.errors import Exit, Locked
from console.model.policy import Policy
from console.model.probe import Answer
from console.secrets import Secret, entry_of
from tests.fakes import MemoryStore
from tests.integration.actions.rotors import FIRST, new_account, over_for
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.targets import target_of

APPROVAL = Approval(reason="a test")


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Counts effects; burns at one of them, before or after it happened. 0 is never."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at = at
        self.after = after
        self.count = 0

    async def over(self, effect: Callable[[], Awaitable[Any]]) -> Any:
        self.count += 1
        burns = self.count == self.at
        if burns and not self.after:
            raise Crash
        done = await effect()
        if burns:
            raise Crash
        return done


class FusedStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse()

    async def put(self, name: str, secret: Secret) -> None:
        if name.startswith("dbdeck/t/"):
            await self.fuse.over(lambda: super(FusedStore, self).put(name, secret))
        else:
            await super().put(name, secret)

    async def claim(self, name: str, secret: Secret) -> Secret | None:
        kept: Secret | None = await self.fuse.over(lambda: super(FusedStore, self).claim(name, secret))
        return kept

    async def delete(self, name: str) -> bool:
        if name.startswith("dbdeck/t/"):
            return bool(await self.fuse.over(lambda: super(FusedStore, self).delete(name)))
        return await super().delete(name)


class Setting:
    """One account, its store, and runs of dbdeck over the same ledger."""

    def __init__(self, server: Server, folder: Path, account: str, store: FusedStore) -> None:
        self.server = server
        self.folder = folder
        self.account = account
        self.store = store
        self.target = target_of(server, **over_for(server))

    def opener(self, fuse: Fuse) -> Any:
        def opened(target: Any) -> Any:
            return _Fused(open_operator(target), fuse)

        return opened

    async def rotate(self, fuse: Fuse) -> Exit:
        """A run of its own: what it dies of ends its ledger, too."""
        self.store.fuse = fuse
        async with (
            open_ledger(f"sqlite:///{self.folder}/audit.db", self.folder / "journal") as ledger,
            open_engine(self.target) as engine,
        ):
            opener = self.opener(fuse)
            here = Dispatcher(Registry(actions.ALL), ledger, Policy(), opener=opener, store=self.store)
            try:
                plan = await here.plan("credential.rotate", engine, {"account": self.account})
                run = await here.apply(plan, engine, APPROVAL)
            finally:
                await here.close()
        return run.exit

    async def settle(self, fuse: Fuse | None = None) -> None:
        """`audit reconcile`, then `apply --resume`."""
        self.store.fuse = fuse or Fuse()
        async with (
            open_ledger(f"sqlite:///{self.folder}/audit.db", self.folder / "journal") as ledger,
            open_engine(self.target) as engine,
        ):
            settled = await reconcile(ledger, Registry(actions.ALL), [self.target], store=self.store)
            assert all(one.state != "undecidable" for one in settled), settled
            intents = await ledger.entries(kinds=(Kind.INTENT,), newest_first=True)
            opener = self.opener(self.store.fuse)
            here = Dispatcher(Registry(actions.ALL), ledger, Policy(), opener=opener, store=self.store)
            try:
                plan = await here.resume(intents[0].action_id, engine)
                run = await here.apply(plan, engine, APPROVAL)
            finally:
                await here.close()
            assert run.exit is Exit.OK, run.error

    async def entries(self) -> list[Ledgered]:
        """The ledger's rows, newest first."""
        url = f"sqlite:///{self.folder}/audit.db"
        async with open_ledger(url, self.folder / "journal", write=False) as ledger:
            return await ledger.entries()

    async def check(self) -> None:
        kept = {self.account, f"{self.account}#previous", "fingerprint-key"}
        assert {name for _, name in self.store.entries} == kept
        current = entry_of(self.store.entries["dbdeck/t", self.account]).password
        previous = entry_of(self.store.entries["dbdeck/t", f"{self.account}#previous"]).password
        assert previous == FIRST
        async with open_engine(self.target) as engine:
            assert (await engine.probe(self.account, current)).answer is Answer.ACCEPTED
            overlap = isinstance(self.server, MysqlServer)
            old = Answer.ACCEPTED if overlap else Answer.REJECTED
            assert (await engine.probe(self.account, FIRST)).answer is old


class _Fused:
    """An operator's connection whose statements go over the fuse."""

    def __init__(self, opened: Any, fuse: Fuse) -> None:
        self._opened = opened
        self._fuse = fuse

    async def __aenter__(self) -> Any:
        connection = await self._opened.__aenter__()
        run = connection.run

        async def fused(statement: Any, *, timeout: float | None) -> Any:
            return await self._fuse.over(lambda: run(statement, timeout=timeout))

        connection.run = fused
        return connection

    async def __aexit__(self, *ended: Any) -> Any:
        return await self._opened.__aexit__(*ended)


async def setting(server: Server, folder: Path) -> Setting:
    store = FusedStore()
    account = await new_account(server)
    await store.put(f"dbdeck/t/{account}", FIRST)
    return Setting(server, folder, account, store)


async def effects_of(server: Server, folder: Path) -> int:
    here = await setting(server, folder)
    fuse = Fuse()
    assert await here.rotate(fuse) is Exit.OK
    await here.check()
    return fuse.count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_it_dies_at_any_effect_and_is_resumed(
    any_server: Server, tmp_path: Path, *, after: bool
) -> None:
    effects = await effects_of(any_server, tmp_path / "whole")
    assert effects == 6  # the key of fingerprints, pending, the statement, previous, current, pending removed
    for point in range(1, effects + 1):
        here = await setting(any_server, tmp_path / str(point))
        with pytest.raises(Crash):
            await here.rotate(Fuse(point, after=after))
        await here.settle()
        await here.check()


async def test_it_dies_twice_and_is_resumed(any_server: Server, tmp_path: Path) -> None:
    """The second death comes in what the first one left to be done."""
    for first, second in ((1, 2), (2, 1), (3, 2)):
        here = await setting(any_server, tmp_path / f"{first}-{second}")
        with pytest.raises(Crash):
            await here.rotate(Fuse(first, after=True))
        with pytest.raises(Crash):
            await here.settle(Fuse(second, after=True))
        await here.settle()
        await here.check()


async def test_two_at_once_and_the_second_is_told_who_has_it(any_server: Server, tmp_path: Path) -> None:
    here = await setting(any_server, tmp_path / "one")
    there = Setting(any_server, tmp_path / "two", here.account, here.store)
    held = asyncio.Event()
    go_on = asyncio.Event()

    class Slow(Fuse):
        async def over(self, effect: Callable[[], Awaitable[Any]]) -> Any:
            held.set()
            await go_on.wait()
            return await effect()

    first = asyncio.create_task(here.rotate(Slow()))
    await held.wait()
    store = here.store.fuse
    with pytest.raises(Locked, match="being acted on"):
        await there.rotate(Fuse())
    here.store.fuse = store
    go_on.set()
    assert await first is Exit.OK
