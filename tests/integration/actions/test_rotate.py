"""Rotations on real servers: the new password logs in and is kept, the old one ends when it should."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import actions
from console.dispatch.action import Approval
from console.dispatch.registry import Registry
from console.errors import Exit, Refused, UsageError
from console.model.probe import Answer
from console.model.rotation import Rule
from console.secrets import Secret
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, Rotor, new_account, rotor_on
from tests.servers.accounts import ROTATOR
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Rotor]:
    async with rotor_on(any_server, tmp_path) as made:
        yield made


async def test_the_new_password_is_kept_before_the_server_is_told_and_logs_in(desk: Rotor) -> None:
    run = await desk.run("credential.rotate", account=desk.account)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
    await desk.settled()
    assert await desk.password() != FIRST
    assert await desk.password("#previous") == FIRST
    overlap = isinstance(desk.server, MysqlServer)
    assert await desk.answer(FIRST) is (Answer.ACCEPTED if overlap else Answer.REJECTED)


async def test_each_effect_is_recorded_before_it_and_holds_no_secret(desk: Rotor) -> None:
    plan = await desk.plan("credential.rotate", account=desk.account)
    assert len(plan.statements) == 1
    assert "verifier>" in plan.statements[0]
    run = await desk.apply(plan)
    assert await desk.kinds() == ["intent", *["step"] * (len(await steps(desk))), "outcome"]
    told = await steps(desk)
    pending, alter = (
        told.index(next(one for one in told if "#pending" in one)),
        told.index(plan.statements[0]),
    )
    assert pending < alter
    rows = " ".join(str(one.body) for one in await desk.ledger.entries())
    for secret in (await desk.password(), await desk.password("#previous")):
        assert secret.reveal() not in rows
    assert "SCRAM-SHA-256$" not in rows
    assert "$A$" not in rows
    assert run.recorded


async def steps(desk: Rotor) -> list[str]:
    entries = await desk.ledger.entries(newest_first=False)
    return [json.loads(one.body or "{}")["statement"] for one in entries if one.kind == "step"]


async def test_a_second_rotation_waits_for_the_overlap_to_end(desk: Rotor) -> None:
    assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
    first = await desk.password()
    if isinstance(desk.server, MysqlServer):
        with pytest.raises(UsageError, match="another would end it"):
            await desk.plan("credential.rotate", account=desk.account)
        return
    assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
    await desk.settled()
    assert await desk.password() != first


async def test_without_overlap_the_old_one_ends_at_once(desk: Rotor) -> None:
    run = await desk.run("credential.rotate", account=desk.account, overlap=False)
    assert run.exit is Exit.OK, run.error
    await desk.settled()
    assert await desk.answer(FIRST) is Answer.REJECTED


async def test_a_stored_password_that_is_wrong_is_told_before_anything_happens(desk: Rotor) -> None:
    await desk.store.put(desk.entry, Secret("n0t-the-right-one"))
    with pytest.raises(Refused, match="does not take the password"):
        await desk.run("credential.rotate", account=desk.account)
    assert await desk.kinds() == []
    assert await desk.answer(FIRST) is Answer.ACCEPTED
    assert await desk.kept("#pending") is None


async def test_an_account_that_was_never_kept_is_rotated_too(desk: Rotor) -> None:
    await desk.store.delete(desk.entry)
    overlap = isinstance(desk.server, MysqlServer) and desk.server.flavor == "mysql"
    run = await desk.run("credential.rotate", account=desk.account, overlap=overlap)
    assert run.exit is Exit.OK, run.error
    await desk.settled()
    assert await desk.kept("#previous") is None


async def test_an_unknown_account_is_named(desk: Rotor) -> None:
    with pytest.raises(UsageError, match="nobody_here"):
        await desk.plan("credential.rotate", account="nobody_here")


async def test_one_wrong_password_is_sent_and_no_more(desk: Rotor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Answer] = []
    ask = desk.engine.probe

    async def probe(user: str, password: Secret) -> object:
        found = await ask(user, password)
        seen.append(found.answer)
        return found

    monkeypatch.setattr(desk.engine, "probe", probe)
    assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
    assert seen.count(Answer.REJECTED) == 1


async def test_a_server_that_trusts_everybody_proves_nothing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with rotor_on(postgres, tmp_path) as desk:
        hba = postgres.scratch.data / "pg_hba.conf"
        before = hba.read_text()
        try:
            hba.write_text(f"host all {desk.account} 127.0.0.1/32 trust\n{before}")
            await superuser(postgres, "select pg_reload_conf()", "select pg_sleep(0.3)")
            with pytest.raises(Refused, match="whatever the password"):
                await desk.run("credential.rotate", account=desk.account)
            assert await desk.kinds() == []
        finally:
            hba.write_text(before)
            await superuser(postgres, "select pg_reload_conf()", "select pg_sleep(0.3)")


@pytest.mark.parametrize("readable", [True, False])
async def test_where_anybody_is_let_in_only_the_stored_verifier_proves_it(
    postgres: PostgresServer, tmp_path: Path, *, readable: bool
) -> None:
    seer: dict[str, Any] = {"monitor": {"user": "postgres"}, "host": postgres.host, "tls": "off"}
    over = seer if readable else {}
    async with rotor_on(postgres, tmp_path, **over) as desk:
        hba = postgres.scratch.data / "pg_hba.conf"
        before = hba.read_text()
        try:
            anybody = f"host all {desk.account} 127.0.0.1/32 trust\nlocal all {desk.account} trust\n"
            hba.write_text(anybody + before)
            await superuser(postgres, "select pg_reload_conf()", "select pg_sleep(0.3)")
            run = await desk.run("credential.rotate", account=desk.account, unverified=True)
            assert run.verify is not None
            assert "lets anybody in" in run.verify.summary
            assert run.exit is (Exit.OK if readable else Exit.UNKNOWN), run.error
        finally:
            hba.write_text(before)
            await superuser(postgres, "select pg_reload_conf()", "select pg_sleep(0.3)")
        assert await desk.answer(await desk.password()) is Answer.ACCEPTED


async def test_valid_until_moves_with_the_password(postgres: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres, tmp_path, how="valid until '2100-01-01'") as desk:
        plan = await desk.plan("credential.rotate", account=desk.account)
        assert "valid until" in plan.statements[0]
        assert (await desk.apply(plan)).exit is Exit.OK
        [(until,)] = await superuser(
            postgres, f"select rolvaliduntil < '2100-01-01' from pg_roles where rolname = '{desk.account}'"
        )
        assert until
        await desk.settled()


async def test_valid_until_is_that_of_the_plan_and_of_the_rule(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    async with rotor_on(postgres18, tmp_path, how="valid until '2100-01-01'") as desk:
        given = {"account": desk.account}
        plan = await desk.plan("credential.rotate", **given)
        ends = datetime.fromisoformat(plan.args["valid_until"])
        for other in (ends + timedelta(days=1), ends - timedelta(days=2), "soon"):
            with pytest.raises(UsageError, match="the rule of rotation comes to"):
                await desk.plan("credential.rotate", **given, valid_until=str(other))
        earlier = ends - timedelta(hours=1)
        run = await desk.run("credential.rotate", **given, valid_until=earlier.isoformat())
        assert run.exit is Exit.OK, run
        asked = f"select valuntil from pg_user where usename = '{desk.account}'"
        assert await desk.as_superuser(asked) == [(earlier,)]
        rest = await Registry(actions.ALL).get("credential.rotate").rest(plan, desk.engine)  # type: ignore[attr-defined]
        assert rest["valid_until"] == ""  # whoever goes on with it days later lets it begin then


async def test_without_the_right_it_is_refused_before_any_intent(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with rotor_on(postgres, tmp_path) as desk:
        await superuser(postgres, f"alter role {desk.account} superuser")
        with pytest.raises(Refused, match="superuser"):
            await desk.run("credential.rotate", account=desk.account)
        assert "intent" not in await desk.kinds()
        assert await desk.answer(FIRST) is Answer.ACCEPTED


async def test_all_that_are_overdue_are_rotated_and_nobody_else(any_server: Server, tmp_path: Path) -> None:
    """By age on MySQL and MariaDB; on PostgreSQL the age of a password is not known, so nobody is."""
    async with rotor_on(any_server, tmp_path) as desk:
        rule = Rule(every=1.0, exclude=("[!a]*",))
        other = await new_account(any_server)
        await desk.store.put(f"dbdeck/t/{other}", FIRST)
        target = msgspec.structs.replace(desk.engine.target, rotation=rule)
        desk.engine.target = target  # type: ignore[misc]
        await asyncio.sleep(2.1)
        plan = await desk.plan("credential.rotate", overdue=True)
        if not isinstance(any_server, MysqlServer):
            assert plan.statements == ()
            return
        mine = {aim["user"] for aim in plan.subject["accounts"]}
        assert {desk.account, other} <= mine
        only = await desk.plan("credential.rotate", account=[desk.account, other])
        run = await desk.apply(only)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
        await desk.settled()


async def test_a_server_that_takes_no_verifier_is_told_in_clear_if_it_has_to_be(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    if mysql.flavor != "mariadb":
        pytest.skip("MySQL takes every verifier")
    await superuser(
        mysql, "install soname 'simple_password_check'", "set global strict_password_validation = on"
    )
    try:
        async with rotor_on(mysql, tmp_path, how="identified by 'f1rst-Passw0rd'") as desk:
            run = await desk.run("credential.rotate", account=desk.account)
            assert run.exit is Exit.FAILED
            assert run.error is not None
            assert "plaintext=true" in run.error.hint
            await desk.settled()
            assert await desk.answer(FIRST) is Answer.ACCEPTED
            await superuser(mysql, f"grant update on mysql.* to {ROTATOR}@'%'")
            plan = await desk.plan("credential.rotate", account=desk.account, plaintext=True)
            assert plan.confirm
            assert "<the password in clear>" in plan.statements[0]
            typed = Approval(reason="a test", confirm="t")
            done = await desk.dispatcher.apply(plan, desk.engine, typed)
            assert done.exit is Exit.OK, done.error
            await desk.settled()
            rows = " ".join(str(one.body) for one in await desk.ledger.entries())
            assert (await desk.password()).reveal() not in rows
    finally:
        await superuser(
            mysql,
            "set global strict_password_validation = default",
            "uninstall soname 'simple_password_check'",
            f"grant update on mysql.* to {ROTATOR}@'%'",
            f"revoke update on mysql.* from {ROTATOR}@'%'",
        )


async def test_in_clear_over_an_open_wire_is_refused(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres18, tmp_path) as desk:
        with pytest.raises(UsageError, match="verified TLS"):
            await desk.plan("credential.rotate", account=desk.account, plaintext=True)


async def test_in_clear_over_verified_tls(postgres_tls: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres_tls, tmp_path) as desk:
        plan = await desk.plan("credential.rotate", account=desk.account, plaintext=True)
        run = await desk.dispatcher.apply(plan, desk.engine, Approval(reason="a test", confirm="t"))
        assert run.exit is Exit.OK, run.error
        await desk.settled()


async def test_what_the_server_refuses_leaves_nothing_pending(any_server: Server, tmp_path: Path) -> None:
    """The account goes away between the look and the statement."""
    async with rotor_on(any_server, tmp_path) as desk:
        keep, dropped = desk.store.put, list[str]()

        async def put(name: str, secret: Secret) -> None:
            await keep(name, secret)
            if name.endswith("#pending") and not dropped:
                dropped.append(name)
                mysql = isinstance(any_server, MysqlServer)
                gone = f"drop user {desk.account}@'%'" if mysql else f"drop role {desk.account}"
                await superuser(any_server, gone)

        desk.store.put = put  # type: ignore[method-assign]
        run = await desk.run("credential.rotate", account=desk.account)
        desk.store.put = keep  # type: ignore[method-assign]
        assert run.exit in (Exit.FAILED, Exit.UNKNOWN)
        assert await desk.kept("#pending") is None
        assert await desk.password() == FIRST
        again = (
            f"create user {desk.account}@'%'"
            if isinstance(any_server, MysqlServer)
            else f"create role {desk.account}"
        )
        await superuser(any_server, again)


async def test_an_account_that_two_wrong_passwords_block_is_not_tried_with_one(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    how = f"identified by '{FIRST.reveal()}'"
    if mysql.flavor == "mysql":
        how += " failed_login_attempts 1 password_lock_time 1"
    else:
        await superuser(mysql, "set global max_password_errors = 1")
    try:
        async with rotor_on(mysql, tmp_path, how=how) as desk:
            plan = await desk.plan("credential.rotate", account=desk.account)
            assert any("block it" in line for line in plan.forecast)
            run = await desk.apply(plan)
            assert run.exit is Exit.OK, run.error
            await desk.settled()
            retired = await desk.run("credential.retire", account=desk.account)
            assert retired.exit is Exit.OK, retired.error
            await desk.settled()
    finally:
        if mysql.flavor == "mariadb":
            await superuser(mysql, "set global max_password_errors = default", "flush privileges")


async def test_a_store_that_a_reboot_empties_is_refused(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres18, tmp_path) as desk:
        desk.store.folder = Path("/dev/shm")
        with pytest.raises(Refused, match="outlive a reboot"):
            await desk.run("credential.rotate", account=desk.account)
        assert await desk.kinds() == []


async def test_a_row_that_fails_loses_no_password_of_the_others(mysql: MysqlServer, tmp_path: Path) -> None:
    """MariaDB changes the rows before it; MySQL changes none."""
    async with rotor_on(mysql, tmp_path) as desk:
        row = f"{desk.account}@'zz.example'"  # after '%' in the statement
        await superuser(mysql, f"create user {row} identified by '{FIRST.reveal()}'")
        keep, dropped = desk.store.put, list[str]()

        async def put(name: str, secret: Secret) -> None:
            await keep(name, secret)
            if name.endswith("#pending") and not dropped:
                dropped.append(name)
                await superuser(mysql, f"drop user {row}")

        desk.store.put = put  # type: ignore[method-assign]
        run = await desk.run("credential.rotate", account=desk.account)
        assert run.exit is not Exit.OK
        known = [one for end in ("", "#pending") if (one := await desk.kept(end)) is not None]
        answers = [await desk.answer(one.password) for one in known]
        assert Answer.ACCEPTED in answers
        if mysql.flavor == "mariadb":
            assert run.exit is Exit.UNKNOWN
            assert len(known) == 2
        else:
            assert len(known) == 1
