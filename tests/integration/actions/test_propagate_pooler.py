"""A new password reaches PgBouncer: the server's own verifier in its list, a RELOAD, a login through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from console.errors import Exit
from console.secrets import Secret
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, rotor_on
from tests.servers.pgbouncer import PgBouncer, pgbouncer_before
from tests.servers.postgres import PostgresServer


@pytest.fixture
def pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    with pgbouncer_before(postgres) as made:
        yield made


async def through(pooler: PgBouncer, user: str, password: Secret) -> int:
    connection = await asyncpg.connect(
        host=pooler.host, port=pooler.port, user=user, password=password.reveal(), database="postgres",
        statement_cache_size=0,
    )  # fmt: skip
    try:
        return int(await connection.fetchval("select 1"))
    finally:
        await connection.close()


async def stored(server: PostgresServer, account: str) -> str:
    [(verifier,)] = await superuser(server, f"select rolpassword from pg_authid where rolname = '{account}'")
    return str(verifier)


async def test_the_new_password_gets_in_through_it_and_the_old_does_not(
    postgres: PostgresServer, pooler: PgBouncer, tmp_path: Path
) -> None:
    async with rotor_on(postgres, tmp_path, rule=lambda _: {"hooks": [pooler.hook()]}) as desk:
        pooler.knows(desk.account, await stored(postgres, desk.account))
        before = pooler.userlist.read_text()
        run = await desk.run("credential.rotate", account=desk.account)
        assert run.exit is Exit.OK, run
        new = await stored(postgres, desk.account)
        assert pooler.userlist.read_text() == before.replace(
            before.splitlines()[-1], f'"{desk.account}" "{new}"'
        )
        assert await through(pooler, desk.account, await desk.password()) == 1
        with pytest.raises(asyncpg.PostgresError):
            await through(pooler, desk.account, FIRST)
        assert run.verify is not None
        assert "the old password is refused" in str(run.verify.evidence)
