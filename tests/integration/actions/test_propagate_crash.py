"""A run that dies at any effect of its hooks ends, when resumed, as if nothing had been."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.dispatch import files, process
from console.engine import pooler as pooler_port
from console.errors import Exit
from console.secrets import entry_of
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account, target_with
from tests.integration.actions.test_propagate import by_libpq, counting, program, ran
from tests.integration.actions.test_propagate_pooler import readable_verifiers, through
from tests.integration.actions.test_rotate_crash import Crash, Fuse, FusedStore, Setting
from tests.servers.pgbouncer import PgBouncer, pgbouncer_before
from tests.servers.postgres import PostgresServer

ROTATION = 6  # effects: the key of fingerprints, pending, the statement, previous, current, pending removed
HOOKS = 4  # .pgpass, the list, RELOAD, the program


class Hooked(Setting):
    """An account with a hook of each kind that PostgreSQL has."""

    def __init__(self, server: PostgresServer, folder: Path, account: str, pooler: PgBouncer) -> None:
        super().__init__(server, folder, account, FusedStore())
        self.pooler = pooler
        self.pgpass = folder / ".pgpass"
        self.got = folder / "got"
        body = f"import sys\nopen({str(self.got)!r}, 'w').write(sys.stdin.read())\n"
        hooks = [
            {"pgpass": {"path": str(self.pgpass)}},
            pooler.hook(),
            {"exec": {"argv": program(folder / "bin", body)}},
        ]
        self.target = target_with(server, account, {"hooks": hooks})

    async def check(self) -> None:
        assert isinstance(self.server, PostgresServer)
        await super().check()
        assert await by_libpq(self.server, self.account, self.pgpass) == self.account
        current = await self.store.get(f"dbdeck/t/{self.account}")
        assert current is not None
        password = entry_of(current).password
        assert await through(self.pooler, self.account, password) == 1
        assert self.got.read_text() == f"{password.reveal()}\n"
        left = {path.name for path in self.pgpass.parent.iterdir()} - {"audit.db", "journal", "bin"}
        assert {name for name in left if not name.startswith("audit.db")} == {".pgpass", "got"}


@asynccontextmanager
async def hooked(server: PostgresServer, folder: Path, pooler: PgBouncer) -> AsyncIterator[Hooked]:
    folder.mkdir(mode=0o700)
    account = await new_account(server)
    made = Hooked(server, folder, account, pooler)
    await made.store.put(f"dbdeck/t/{account}", FIRST)
    [(verifier,)] = await superuser(server, f"select rolpassword from pg_authid where rolname = '{account}'")
    pooler.knows(account, verifier)
    try:
        yield made
    finally:
        await superuser(server, f"drop role {account}")


EFFECTS: tuple[tuple[Any, str, Callable[..., Awaitable[Any]]], ...] = (
    (files, "rewrite_file", files.rewrite_file),
    (process, "run_program", process.run_program),
    (pooler_port, "reload_pooler", pooler_port.reload_pooler),
)


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hooked], None]:
    """Lets the effects of hooks go over the fuse that the store has."""

    def fuse(here: Hooked) -> None:
        for module, name, effect in EFFECTS:
            monkeypatch.setattr(module, name, over(here, effect))

    return fuse


def over(here: Hooked, effect: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def fused(*args: Any, **named: Any) -> Any:
        return await here.store.fuse.over(lambda: effect(*args, **named))

    return fused


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_it_dies_at_any_effect_of_a_hook_and_is_resumed(
    postgres18: PostgresServer, tmp_path: Path, fused: Callable[[Hooked], None], *, after: bool
) -> None:
    with pgbouncer_before(postgres18) as pooler:
        async with readable_verifiers(postgres18):
            async with hooked(postgres18, tmp_path / "whole", pooler) as here:
                fused(here)
                fuse = Fuse()
                assert await here.rotate(fuse) is Exit.OK
                await here.check()
                assert fuse.count == ROTATION + HOOKS
            for point in range(ROTATION, ROTATION + HOOKS + 1):
                async with hooked(postgres18, tmp_path / str(point), pooler) as here:
                    fused(here)
                    with pytest.raises(Crash):
                        await here.rotate(Fuse(point, after=after))
                    await here.settle()
                    await here.check()


async def test_it_dies_twice_in_its_hooks_and_is_resumed(
    postgres18: PostgresServer, tmp_path: Path, fused: Callable[[Hooked], None]
) -> None:
    """The second death comes in what the first one left to be done."""
    with pgbouncer_before(postgres18) as pooler:
        async with readable_verifiers(postgres18):
            for first, second in ((ROTATION, 2), (ROTATION + 1, 1), (ROTATION + 2, 1)):
                async with hooked(postgres18, tmp_path / f"{first}-{second}", pooler) as here:
                    fused(here)
                    with pytest.raises(Crash):
                        await here.rotate(Fuse(first, after=True))
                    with pytest.raises(Crash):
                        await here.settle(Fuse(second, after=True))
                    await here.settle()
                    await here.check()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_what_it_did_before_it_died_is_not_done_twice(
    postgres18: PostgresServer, tmp_path: Path, fused: Callable[[Hooked], None], *, after: bool
) -> None:
    """Dead around the second program: the first is not run again; the second is, since nobody saw it end."""
    with pgbouncer_before(postgres18) as pooler:
        async with hooked(postgres18, tmp_path / "here", pooler) as here:
            two = [counting(tmp_path, "first"), counting(tmp_path, "second")]
            here.target = target_with(postgres18, here.account, {"hooks": two})
            fused(here)
            with pytest.raises(Crash):
                await here.rotate(Fuse(ROTATION + 2, after=after))
            await here.settle()
            assert ran(tmp_path, "first") == 1
            assert ran(tmp_path, "second") == (2 if after else 1)
