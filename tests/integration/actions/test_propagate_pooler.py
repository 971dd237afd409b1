"""A new password reaches PgBouncer: the server's own verifier in its list, a RELOAD, a login through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from console.engine.pooler import reload_pooler
from console.errors import Exit
from console.secrets import Secret
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, rotor_on
from tests.servers.accounts import MONITOR
from tests.servers.pgbouncer import WORD, PgBouncer, pgbouncer_before
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
        (done,) = run.verify.evidence["hooks"][desk.account]
        assert done["why"] == "the old password is refused"


async def test_what_its_login_leaves_in_the_pool_is_not_protected_as_ours(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """PgBouncer keeps the connection for others: by its name it was dbdeck's own, and nobody could end it."""
    with pgbouncer_before(postgres18) as pooler:
        async with rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [pooler.hook()]}) as desk:
            pooler.knows(desk.account, await stored(postgres18, desk.account))
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
            left = [one for one in await desk.engine.sessions() if one.user == desk.account]
    assert left, "the pool keeps it"
    assert [one.protection for one in left] == [None] * len(left)


async def test_sessions_that_came_before_do_not_keep_the_new_password_out(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """PgBouncer has a server connection of the old password, and the keys of the old verifier."""
    with pgbouncer_before(postgres18) as pooler:
        async with rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [pooler.hook()]}) as desk:
            pooler.knows(desk.account, await stored(postgres18, desk.account))
            await reload_pooler(pooler.admin)
            assert await through(pooler, desk.account, FIRST) == 1
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
            await superuser(
                postgres18,
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                f"where usename = '{desk.account}'",
            )
            assert await through(pooler, desk.account, await desk.password()) == 1


@asynccontextmanager
async def readable_verifiers(server: PostgresServer) -> AsyncIterator[None]:
    columns = "select (rolname, rolpassword, rolcanlogin) on pg_catalog.pg_authid"
    await superuser(server, f"grant {columns} to {MONITOR}")
    try:
        yield
    finally:
        await superuser(server, f"revoke {columns} from {MONITOR}")


async def test_a_later_run_reads_the_verifier_back_or_says_that_it_may_not(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    with pgbouncer_before(postgres18) as pooler:
        async with rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [pooler.hook()]}) as desk:
            before = pooler.userlist.read_text()
            run = await desk.run("credential.propagate", account=desk.account)
            assert run.exit is Exit.FAILED
            assert run.error is not None
            assert "may be read by neither the monitor nor the operator" in run.error.message
            assert "GRANT SELECT (rolname, rolpassword" in run.error.message
            assert pooler.userlist.read_text() == before
            async with readable_verifiers(postgres18):
                done = await desk.run("credential.propagate", account=desk.account)
                again = await desk.run("credential.propagate", account=desk.account)
            assert (done.exit, done.effect, again.effect) == (Exit.OK, "applied", "no_op"), done
            assert await through(pooler, desk.account, FIRST) == 1
            rows = " ".join(str(one.body) for one in await desk.ledger.entries())
            assert "SCRAM-SHA-256$" not in rows
            assert WORD not in rows


async def test_a_list_that_was_written_and_not_read_is_reloaded(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """As a run leaves it that dies between the two."""
    with pgbouncer_before(postgres18) as pooler:
        async with (
            readable_verifiers(postgres18),
            rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [pooler.hook()]}) as desk,
        ):
            pooler.knows(desk.account, await stored(postgres18, desk.account))
            before = pooler.userlist.stat()
            assert (await desk.run("credential.propagate", account=desk.account)).exit is Exit.OK
            assert pooler.userlist.stat().st_ino == before.st_ino
            assert await through(pooler, desk.account, FIRST) == 1


async def test_a_pooler_that_does_not_obey_is_told_and_the_rotation_stays_done(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer_before(postgres18) as pooler:
        hook = pooler.hook()
        monkeypatch.setenv("DBDECK_TEST_POOLER", "another")
        async with rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [hook]}) as desk:
            run = await desk.run("credential.rotate", account=desk.account)
            assert (run.exit, run.effect) == (Exit.PARTIAL, "applied")
            assert run.error is not None
            assert "1 of 1 hook was not done: pgbouncer: PgBouncer" in run.error.message
            assert "refused the login of pooler_admin" in run.error.message
            assert "`admin.password` of the hook" in run.error.hint
            await desk.settled()


async def test_a_plan_tells_that_nobody_answers(postgres18: PostgresServer, tmp_path: Path) -> None:
    with pgbouncer_before(postgres18) as pooler:
        hook = pooler.hook(port=1)
    async with rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [hook]}) as desk:
        plan = await desk.plan("credential.rotate", account=desk.account)
        assert any("it would fail" in one for one in plan.warnings)


async def test_a_plan_tells_that_the_list_is_not_there_and_is_not_made(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    """The plan said that it is made, and the run that none was."""
    with pgbouncer_before(postgres18) as pooler:
        hook = pooler.hook()
        hook["pgbouncer"]["userlist"] = str(tmp_path / "none.txt")
        async with rotor_on(postgres18, tmp_path, rule=lambda _: {"hooks": [hook]}) as desk:
            plan = await desk.plan("credential.rotate", account=desk.account)
    assert any("it would fail: there is no" in one and "none.txt" in one for one in plan.warnings)
    assert not any("it is made" in one for one in plan.forecast)
