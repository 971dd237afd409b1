"""Hooks on real servers and files: clients log in with what was handed on, and what failed is run alone."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

from actions.propagation import PropagateCredential
from console.engine.mysql.driver import close, connect
from console.errors import Exit, Refused, UsageError
from console.model.hooks import AccountRule
from console.model.option_file import options
from console.model.target import Login
from console.secrets import Secret
from tests.integration.actions.rotors import FIRST, Rotor, new_account, rotor_on
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

ODD = Secret("c:l\\n 'q\" #h=é")


def program(folder: Path, body: str, name: str = "hook") -> list[str]:
    """A program of the operator's in Python."""
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o700)
    return [str(path)]


def with_hooks(*hooks: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    return lambda _: {"hooks": list(hooks)}


async def rows(desk: Rotor) -> str:
    return " ".join(str(one.body) for one in await desk.ledger.entries())


async def steps(desk: Rotor) -> list[str]:
    entries = await desk.ledger.entries(newest_first=False)
    return [json.loads(one.body or "{}")["statement"] for one in entries if one.kind == "step"]


async def set_password(desk: Rotor, password: Secret) -> None:
    """As somebody else would, and stored by hand."""
    word = password.reveal().replace("'", "''")
    if isinstance(desk.server, MysqlServer):
        word = password.reveal().replace("\\", "\\\\").replace("'", "\\'")
        await desk.as_superuser(f"alter user {desk.account}@'%' identified by '{word}'")
    else:
        await desk.as_superuser(f"alter role {desk.account} password '{word}'")
    await desk.store.put(desk.entry, password)


# ---- .pgpass -------------------------------------------------------------------------------------


async def by_libpq(server: PostgresServer, user: str, path: Path) -> str:
    """Logs in with what libpq finds in the file."""
    connection = await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=server.tcp_port, user=user, dbname="postgres", passfile=str(path)
    )
    async with connection, connection.cursor() as cursor:
        await cursor.execute("select session_user")
        row = await cursor.fetchone()
    assert row is not None
    return str(row[0])


async def by_asyncpg(server: PostgresServer, user: str, path: Path) -> str:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.tcp_port, user=user, database="postgres", passfile=str(path)
    )
    try:
        return str(await connection.fetchval("select session_user"))
    finally:
        await connection.close()


async def test_clients_log_in_by_the_pgpass_that_was_written(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    path = tmp_path / ".pgpass"
    others = "# mine\nother:5432:*:ann:x\n"
    path.write_text(others)
    path.chmod(0o600)
    async with rotor_on(postgres, tmp_path, rule=with_hooks({"pgpass": {"path": str(path)}})) as desk:
        run = await desk.run("credential.rotate", account=desk.account)
        assert run.exit is Exit.OK, run
        assert path.read_text().startswith(others)
        assert await by_libpq(postgres, desk.account, path) == desk.account
        assert await by_asyncpg(postgres, desk.account, path) == desk.account
        assert (await desk.password()).reveal() not in await rows(desk)
        again = await desk.run("credential.rotate", account=desk.account)
        assert again.exit is Exit.OK, again
        assert await by_libpq(postgres, desk.account, path) == desk.account
        assert len(path.read_text().splitlines()) == 3


async def test_libpq_reads_colons_and_backslashes(postgres: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / ".pgpass"
    async with rotor_on(postgres, tmp_path, rule=with_hooks({"pgpass": {"path": str(path)}})) as desk:
        await set_password(desk, ODD)
        assert (await desk.run("credential.propagate", account=desk.account)).exit is Exit.OK
        assert await by_libpq(postgres, desk.account, path) == desk.account


# ---- option files ----------------------------------------------------------------------------------


async def by_the_client(server: MysqlServer, path: Path) -> str:
    """Logs in with what MariaDB's own client finds in the file."""
    process = await asyncio.create_subprocess_exec(
        "mariadb", f"--defaults-file={path}", "--skip-ssl", "-h", "127.0.0.1", "-P", str(server.port), "-N",
        "-B", "-e", "select current_user()", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().strip().partition("@")[0]


async def test_our_own_reader_logs_in_by_the_option_file(
    mysql: MysqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".my.cnf"
    async with rotor_on(mysql, tmp_path, rule=with_hooks({"my_cnf": {"path": "~/.my.cnf"}})) as desk:
        run = await desk.run("credential.rotate", account=desk.account)
        assert run.exit is Exit.OK, run
        assert options(path.read_text(), "client")["password"] == (await desk.password()).reveal()
        connection = await connect(desk.engine.target, Login(user=desk.account), limits="SET @a = 1")
        await close(connection)


@pytest.mark.parametrize("password", [ODD, Secret("ends\\"), Secret("'\"\t both"), Secret("plain")])
async def test_the_client_logs_in_by_the_option_file(
    mysql: MysqlServer, tmp_path: Path, password: Secret
) -> None:
    if mysql.flavor != "mariadb" or shutil.which("mariadb") is None:
        pytest.skip("MariaDB's client is tried on MariaDB, where it is installed")
    path = tmp_path / "my.cnf"
    path.write_text("# mine\n[client]\nconnect-timeout=5\n[other]\npassword=theirs\n")
    path.chmod(0o600)
    async with rotor_on(mysql, tmp_path, rule=with_hooks({"my_cnf": {"path": str(path)}})) as desk:
        text = path.read_text().replace("[client]\n", f"[client]\nuser={desk.account}\n")
        path.write_text(text)
        await set_password(desk, password)
        run = await desk.run("credential.propagate", account=desk.account)
        assert run.exit is Exit.OK, run
        assert await by_the_client(mysql, path) == desk.account
        assert "[other]\npassword=theirs\n" in path.read_text()


# ---- programs --------------------------------------------------------------------------------------


async def test_a_program_gets_the_new_password_on_its_standard_input(
    any_server: Server, tmp_path: Path
) -> None:
    got = tmp_path / "got"
    argv = program(tmp_path / "bin", f"import sys\nopen({str(got)!r}, 'w').write(sys.stdin.read())\n")
    async with rotor_on(any_server, tmp_path, rule=with_hooks({"exec": {"argv": [*argv, "--now"]}})) as desk:
        plan = await desk.plan("credential.rotate", account=desk.account)
        assert plan.statements[-1].startswith(f"run {argv[0]} --now")
        assert (await desk.apply(plan)).exit is Exit.OK
        assert got.read_text() == (await desk.password()).reveal() + "\n"
        assert (await desk.password()).reveal() not in await rows(desk)


BAD = {
    "fails": ("import sys\nsys.exit(3)\n", "ended with exit code 3"),
    "shows it": ("import sys\nprint('got', sys.stdin.read())\nsys.exit(1)\n", r"got \*\*\*"),
    "hangs": ("import time\ntime.sleep(60)\n", "did not end in time"),
    "does not listen": ("import os\nos.close(0)\nos._exit(5)\n", "ended with exit code 5"),
}


@pytest.mark.parametrize("how", BAD)
async def test_a_hook_that_fails_leaves_the_rotation_done_and_the_others_run(
    postgres18: PostgresServer, tmp_path: Path, how: str
) -> None:
    body, told = BAD[how]
    path = tmp_path / ".pgpass"
    bad = {"name": "app", "exec": {"argv": program(tmp_path / "bin", body), "timeout": "1s"}}
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(bad, {"pgpass": {"path": str(path)}})) as desk:
        run = await desk.run("credential.rotate", account=desk.account)
        assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), run
        await desk.settled()
        assert await by_libpq(postgres18, desk.account, path) == desk.account
        assert run.error is not None
        assert "has its new password, and 1 of 2 hooks was not done: app:" in run.error.message
        assert re.search(told, run.error.message)
        assert f"credential.propagate -t t account={desk.account} hook=app`" in run.error.hint
        assert (await desk.password()).reveal() not in await rows(desk) + str(run)


async def test_the_old_password_is_not_retired_unwarned_while_a_hook_is_not_done(
    any_server: Server, tmp_path: Path
) -> None:
    """No session is left from before, and yet a client would be locked out at its next login."""
    mended = tmp_path / "mended"
    argv = program(tmp_path / "bin", f"import os, sys\nsys.exit(not os.path.exists({str(mended)!r}))\n")
    bad = {"name": "app", "exec": {"argv": argv}}
    good = {"name": "other", "exec": {"argv": program(tmp_path / "bin", "", "good")}}
    async with rotor_on(any_server, tmp_path, rule=with_hooks(bad, good)) as desk:
        assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.PARTIAL
        (warning,) = (await desk.plan("credential.retire", account=desk.account)).warnings
        assert warning.startswith("1 hook of its rotation is not known to be done (app): whoever they supply")
        assert f"credential.propagate -t t account={desk.account} hook=app`" in warning
        mended.touch()
        assert (await desk.run("credential.propagate", account=desk.account, hook="app")).exit is Exit.OK
        assert (await desk.plan("credential.retire", account=desk.account)).warnings == ()


async def test_a_failed_hook_is_run_alone(postgres18: PostgresServer, tmp_path: Path) -> None:
    mended, ran = tmp_path / "mended", tmp_path / "ran"
    body = (
        f"import os, sys\nopen({str(ran)!r}, 'a').write(sys.argv[1])\n"
        f"sys.exit(not os.path.exists({str(mended)!r}))\n"
    )
    argv = program(tmp_path / "bin", body)
    hooks = [{"name": name, "exec": {"argv": [*argv, name]}} for name in ("a", "b")]
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(*hooks)) as desk:
        assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.PARTIAL
        assert (await desk.run("credential.propagate", account=desk.account, hook="b")).exit is Exit.FAILED
        mended.touch()
        done = await desk.run("credential.propagate", account=desk.account, hook="b")
        assert (done.exit, done.effect) == (Exit.OK, "applied"), done
        assert ran.read_text() == "abbb"


# ---- what is done alone ------------------------------------------------------------------------------


@pytest.fixture
def target_file(tmp_path: Path) -> dict[str, Any]:
    return {"pgpass": {"path": str(tmp_path / ".pgpass")}}


async def test_what_its_check_finds_done_is_left_alone(
    postgres18: PostgresServer, tmp_path: Path, target_file: dict[str, Any]
) -> None:
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(target_file)) as desk:
        assert (await desk.run("credential.propagate", account=desk.account)).effect == "applied"
        before = (tmp_path / ".pgpass").stat()
        again = await desk.run("credential.propagate", account=desk.account)
        assert (again.exit, again.effect) == (Exit.OK, "no_op")
        assert (tmp_path / ".pgpass").stat().st_ino == before.st_ino
        assert len(await steps(desk)) == 1


async def test_an_entry_that_is_missing_or_wrong_is_refused_before_the_intent(
    any_server: Server, tmp_path: Path
) -> None:
    hook = {"exec": {"argv": program(tmp_path / "bin", "")}}
    async with rotor_on(any_server, tmp_path, rule=with_hooks(hook)) as desk:
        await desk.store.put(desk.entry, Secret("not-it"))
        with pytest.raises(Refused, match="does not take the password"):
            await desk.run("credential.propagate", account=desk.account)
        await desk.store.delete(desk.entry)
        with pytest.raises(Refused, match="is not in memory"):
            await desk.run("credential.propagate", account=desk.account)
        assert await desk.kinds() == []


async def test_while_a_rotation_has_not_ended_nothing_is_handed_on(
    postgres18: PostgresServer, tmp_path: Path, target_file: dict[str, Any]
) -> None:
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(target_file)) as desk:
        await desk.store.put(f"{desk.entry}#pending", Secret("new"))
        with pytest.raises(Refused, match="has not ended"):
            await desk.run("credential.propagate", account=desk.account)


async def test_a_hook_that_is_not_there_is_named(
    postgres18: PostgresServer, tmp_path: Path, target_file: dict[str, Any]
) -> None:
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(target_file)) as desk:
        with pytest.raises(UsageError, match="no hook vault") as refused:
            await desk.plan("credential.propagate", account=desk.account, hook="vault")
        assert refused.value.hint == "it has: pgpass"


async def test_an_account_without_hooks_is_told_where_to_write_them(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    async with rotor_on(postgres18, tmp_path) as desk:
        with pytest.raises(UsageError) as refused:
            await desk.plan("credential.propagate", account=desk.account)
        assert f"rotation.targets.t.accounts.{desk.account}.hooks" in refused.value.hint


async def test_another_entry_of_the_keyring_is_used(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres18, tmp_path, rule=lambda _: {"entry": "shop/database"}) as desk:
        await desk.store.put("shop/database", FIRST)
        assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
        assert await desk.store.get("shop/database#previous") is not None
        assert await desk.password() == FIRST


# ---- the plan ------------------------------------------------------------------------------------------


async def test_a_plan_tells_what_is_there_now(postgres18: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / ".pgpass"
    path.touch(0o644)
    hooks = ({"pgpass": {"path": str(path)}}, {"pgpass": {"path": str(tmp_path / "new")}})
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(*hooks)) as desk:
        plan = await desk.plan("credential.rotate", account=desk.account)
        assert any("hook pgpass: it would fail" in one and "chmod 0600" in one for one in plan.warnings)
        assert any("hook pgpass-2" in one and "not there: it is made" in one for one in plan.forecast)
        plain = await desk.plan("credential.rotate", account=desk.account, propagate=False)
        assert len(plain.statements) == 1


async def test_a_program_that_is_not_there_is_refused(postgres18: PostgresServer, tmp_path: Path) -> None:
    hook = {"exec": {"argv": [str(tmp_path / "none")]}}
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(hook)) as desk:
        with pytest.raises(UsageError, match="No such file"):
            await desk.plan("credential.rotate", account=desk.account)


# ---- once in a rotation --------------------------------------------------------------------------


def counting(folder: Path, name: str, code: str = "0") -> dict[str, Any]:
    """A program that leaves a line for each run, and ends with the code that stands in a file."""
    runs, end = folder / f"{name}.runs", folder / f"{name}.end"
    body = (
        "import os, sys\n"
        f"open({str(runs)!r}, 'a').write('run\\n')\n"
        f"sys.exit(int(open({str(end)!r}).read()) if os.path.exists({str(end)!r}) else {code})\n"
    )
    return {"name": name, "exec": {"argv": program(folder / "bin", body, name)}}


def ran(folder: Path, name: str) -> int:
    path = folder / f"{name}.runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


async def test_a_program_that_has_run_is_not_run_again_by_the_rotation_that_goes_on(
    any_server: Server, tmp_path: Path
) -> None:
    hooks = with_hooks(counting(tmp_path, "first"), counting(tmp_path, "second"))
    async with rotor_on(any_server, tmp_path, rule=hooks) as desk:
        (tmp_path / "second.end").write_text("1")
        run = await desk.run("credential.rotate", account=desk.account)
        assert run.exit is Exit.PARTIAL
        assert (ran(tmp_path, "first"), ran(tmp_path, "second")) == (1, 1)
        (tmp_path / "second.end").unlink()
        plan = await desk.dispatcher.resume(run.action_id, desk.engine)
        assert any("first: run by this rotation already" in line for line in plan.forecast)
        again = await desk.apply(plan)
        assert again.exit is Exit.OK, again.error
        assert (ran(tmp_path, "first"), ran(tmp_path, "second")) == (1, 2)
        asked = await desk.run("credential.propagate", account=desk.account)
        assert asked.exit is Exit.OK, asked.error
        assert (ran(tmp_path, "first"), ran(tmp_path, "second")) == (2, 3)


async def test_the_next_rotation_runs_it_again(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(counting(tmp_path, "first"))) as desk:
        for times in (1, 2):
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
            assert ran(tmp_path, "first") == times


async def test_a_program_that_the_config_names_by_now_is_another_one(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    hook = counting(tmp_path, "first")
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(hook)) as desk:
        run = await desk.run("credential.rotate", account=desk.account)
        changed = {"name": "first", "exec": {"argv": [*hook["exec"]["argv"], "--more"]}}
        rule = msgspec.convert({"hooks": [changed]}, AccountRule)
        rotation = msgspec.structs.replace(desk.engine.target.rotation, accounts={desk.account: rule})
        desk.engine.target = msgspec.structs.replace(desk.engine.target, rotation=rotation)  # type: ignore[misc]
        assert (await desk.apply(await desk.dispatcher.resume(run.action_id, desk.engine))).exit is Exit.OK
        assert ran(tmp_path, "first") == 2


async def test_the_note_holds_no_secret(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with rotor_on(postgres18, tmp_path, rule=with_hooks(counting(tmp_path, "first"))) as desk:
        assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
        notes = [one for one in await desk.ledger.entries() if one.kind == "note"]
        assert len(notes) == 1
        assert (await desk.password()).reveal() not in str(notes[0].body)


# ---- several accounts ----------------------------------------------------------------------------


async def test_several_accounts_with_hooks_in_one_run(any_server: Server, tmp_path: Path) -> None:
    """One's program fails: that one is named, and the others' hooks are done."""
    async with rotor_on(any_server, tmp_path, rule=with_hooks(counting(tmp_path, "one"))) as desk:
        other = await new_account(any_server)
        await desk.store.put(f"dbdeck/t/{other}", FIRST)
        rule = msgspec.convert(
            {"hooks": [counting(tmp_path, "two"), counting(tmp_path, "three")]}, AccountRule
        )
        accounts = {**desk.engine.target.rotation.accounts, other: rule}
        rotation = msgspec.structs.replace(desk.engine.target.rotation, accounts=accounts)
        desk.engine.target = msgspec.structs.replace(desk.engine.target, rotation=rotation)  # type: ignore[misc]
        (tmp_path / "two.end").write_text("3")
        run = await desk.run("credential.rotate", account=[desk.account, other])
        assert run.exit is Exit.PARTIAL
        assert run.error is not None
        assert f"{other} has its new password, and 1 of 2 hooks was not done: two" in run.error.message
        assert f"account={other} hook=two" in run.error.hint
        assert desk.account not in run.error.message
        assert [ran(tmp_path, name) for name in ("one", "two", "three")] == [1, 1, 1]
        (tmp_path / "two.end").unlink()
        again = await desk.apply(await desk.dispatcher.resume(run.action_id, desk.engine))
        assert again.exit is Exit.OK, again.error
        assert [ran(tmp_path, name) for name in ("one", "two", "three")] == [1, 2, 1]


async def test_whether_a_dead_runs_program_was_told_is_undecided(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    argv = program(tmp_path / "bin", "import sys\nsys.stdin.read()\n")
    async with rotor_on(postgres18, tmp_path, rule=with_hooks({"exec": {"argv": argv}})) as desk:
        plan = await desk.plan("credential.propagate", account=desk.account)
        ended = await PropagateCredential().verify_kept(plan, desk.engine, desk.store, patience=0.0)
        assert (ended.state, "cannot be seen" in ended.summary) == ("undecidable", True), ended
        run = await desk.apply(plan)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run
