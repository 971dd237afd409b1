"""`dbdeck doctor`: each thing that is wrong is told with what mends it, and what it tells does mend it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.errors import Exit
from tests.command import Command, Done
from tests.integration.actions.admins import SMALL, drop, small_admin
from tests.integration.actions.conftest import superuser
from tests.servers.accounts import OPERATOR, PASSWORDS
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer


def checks(done: Done, row: int = -1) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in done.rows[row]["checks"]}


async def looked(folder: Path, server: Server, env: dict[str, str] | None = None, **over: Any) -> Done:
    return await Command(folder, {"t": server.target_dict(**over)}).run("doctor", "--json", env=env)


def login(user: str, **more: str) -> dict[str, str]:
    return {"user": user, "password": f"env:{SMALL}", **more}


@pytest_asyncio.fixture
async def weak(any_server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An account with no right at all."""
    monkeypatch.setenv(SMALL, "small-pw")
    name = await small_admin(any_server)
    yield name
    await drop(any_server, name)


# ---- the config ----------------------------------------------------------------------------------


async def test_no_config_is_made_by_init(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    command.config.unlink()
    done = await command.run("doctor")
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert "there is no config file" in done.err
    assert "`dbdeck init` makes one" in done.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("targets:\n  t: [\n", "line 3"),
        ("targets:\n  t: {engine: mysql, moniter: {user: m}}\n", "monitor"),
        ("targets:\n  t: {engine: mysql, monitor: {user: m, password: hunter2}}\n", "keyring:SERVICE/NAME"),
    ],
)
async def test_a_bad_config_is_told_with_its_line_and_what_would_be_right(
    tmp_path: Path, text: str, says: str
) -> None:
    command = Command(tmp_path, {})
    command.config.write_text(text)
    done = await command.run("doctor")
    assert done.code == Exit.USAGE
    assert "line " in done.err
    assert says in done.err
    assert "hunter2" not in done.err


# ---- the server ----------------------------------------------------------------------------------


async def test_a_server_that_is_away_is_told_with_what_asks_without_dbdeck(
    any_server: Server, tmp_path: Path
) -> None:
    done = await looked(tmp_path, any_server, port=1)
    reach = checks(done)["reach"]
    program = "mysqladmin -h 127.0.0.1 -P 1 ping" if isinstance(any_server, MysqlServer) else "pg_isready"
    assert (done.code, reach["ok"]) == (Exit.UNREACHABLE, False)
    assert program in reach["hint"]


@pytest.mark.parametrize(
    ("reference", "hint"),
    [("env:DBDECK_WRONG", "export DBDECK_WRONG"), ("file:{folder}/word", "put the right one into")],
)
async def test_a_wrong_password_is_told_with_where_it_came_from(
    any_server: Server, tmp_path: Path, reference: str, hint: str
) -> None:
    word = tmp_path / "word"
    word.write_text("wr0ng-c4n4ry")
    word.chmod(0o600)
    wrong = {"user": OPERATOR, "password": reference.format(folder=tmp_path)}
    env = {"DBDECK_WRONG": "wr0ng-c4n4ry"}
    done = await looked(tmp_path, any_server, env, operator=wrong)
    operator = checks(done)["operator"]
    assert (done.code, operator["ok"]) == (Exit.UNREACHABLE, False)
    assert hint in operator["hint"]
    assert "wr0ng-c4n4ry" not in done.out + done.err


async def test_a_database_that_is_not_there_is_told_with_its_key_and_not_as_a_wrong_password(
    any_server: Server, tmp_path: Path
) -> None:
    done = await looked(tmp_path, any_server, database="no_such_database")
    reach = checks(done)["reach"]
    assert done.code == Exit.UNREACHABLE
    assert reach["hint"].startswith("check the name of the database")
    assert reach["hint"].endswith("the key is targets.t.database")
    assert "export" not in reach["hint"]


async def test_a_wrong_password_in_the_keyring_is_told_with_its_entry(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "dbdeck-vault").write_text("the-m4ster")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    wrong = {"user": OPERATOR, "password": "keyring:dbdeck/t/operator"}
    command = Command(tmp_path, {"t": postgres18.target_dict(operator=wrong)})
    values = {"audit": command.audit, "targets": {"t": postgres18.target_dict(operator=wrong)}}
    command.write({**values, "keyring": {"backend": "vault", "vault": str(tmp_path / "state" / "vault")}})
    missing = checks(await command.run("doctor", "--json", env=env))["operator"]
    assert (missing["ok"], "dbdeck secret set" in missing["hint"]) == (False, True)
    await command.run("secret", "set", "dbdeck/t/operator", env=env, text="wr0ng")
    told = checks(await command.run("doctor", "--json", env=env))["operator"]
    assert "`dbdeck secret set dbdeck/t/operator` stores the right one" in told["hint"]
    await command.run("secret", "set", "dbdeck/t/operator", env=env, text=PASSWORDS[OPERATOR])
    done = await command.run("doctor", "--json", env=env)
    assert (done.code, checks(done)["operator"]["ok"]) == (0, True)


async def test_tls_that_is_missing_is_told_with_its_keys(postgres18: PostgresServer, tmp_path: Path) -> None:
    done = await looked(tmp_path, postgres18, tls="verify-full")
    reach = checks(done)["reach"]
    assert (done.code, reach["ok"]) == (Exit.UNREACHABLE, False)
    assert "offers no TLS" in reach["detail"]
    assert "targets.t.tls and .ca" in reach["hint"]


async def test_no_tls_is_no_fault_where_nothing_leaves_the_machine(
    any_server: Server, tmp_path: Path
) -> None:
    """What `init` writes for a server of this machine, and the doctor that follows has nothing against."""
    told = checks(await looked(tmp_path, any_server, tls="off"))["tls"]
    assert (told["ok"], told["hint"]) == (True, "")
    assert "nothing leaves this machine" in told["detail"]


async def test_an_authority_that_is_not_trusted_is_told_with_its_keys(
    postgres_tls: PostgresServer, tmp_path: Path
) -> None:
    target = postgres_tls.target_dict()
    del target["ca"]
    done = await Command(tmp_path, {"t": target}).run("doctor", "--json")
    reach = checks(done)["reach"]
    assert "handshake failed" in reach["detail"]
    assert "CERTIFICATE_VERIFY_FAILED" not in reach["detail"], (
        "that is the name of every fault of a certificate"
    )
    assert "authority that signed" in reach["hint"]
    assert ".ca" in reach["hint"]


# ---- privileges ----------------------------------------------------------------------------------


async def test_a_monitor_without_rights_is_told_its_grant_and_the_grant_mends_it(
    any_server: Server, weak: str, tmp_path: Path
) -> None:
    done = await looked(tmp_path, any_server, monitor=login(weak))
    assert done.code == Exit.UNREACHABLE
    lacking = [one for one in checks(done).values() if one["vital"] and one["ok"] is False]
    assert lacking
    assert all("GRANT" in one["hint"] for one in lacking), lacking
    await superuser(any_server, *(one["hint"].rstrip(";") for one in lacking))
    again = await looked(tmp_path, any_server, monitor=login(weak))
    assert [one for one in checks(again).values() if one["vital"] and one["ok"] is not True] == []


async def test_a_monitor_that_may_not_know_of_replication_is_not_told_it_is_on_a_primary(
    any_server: Server, weak: str, tmp_path: Path
) -> None:
    done = await looked(tmp_path, any_server, monitor=login(weak))
    found = checks(done)["role of the server"]
    if not isinstance(any_server, MysqlServer):
        assert (found["ok"], found["detail"]) == (True, "primary")
        return
    assert found["ok"] is None
    assert found["detail"] == "it takes writes; whether this is a replica is unknown"
    await superuser(any_server, found["hint"].rstrip(";"))
    again = checks(await looked(tmp_path, any_server, monitor=login(weak)))["role of the server"]
    assert (again["ok"], again["detail"]) == (True, "primary")


async def test_an_operator_without_rights_is_told_its_grants_and_they_mend_it(
    any_server: Server, weak: str, tmp_path: Path
) -> None:
    told = checks(await looked(tmp_path, any_server, operator=login(weak)))["operator's rights"]
    assert told["ok"] is False
    grants = [one.strip() for one in told["hint"].split(";") if one.strip()]
    assert all(one.startswith("GRANT ") for one in grants)
    await superuser(any_server, *grants)
    again = checks(await looked(tmp_path, any_server, operator=login(weak)))["operator's rights"]
    assert again["ok"] is True, again


async def test_the_documented_operator_lacks_nothing(any_server: Server, tmp_path: Path) -> None:
    done = await looked(tmp_path, any_server)
    assert checks(done)["operator's rights"]["ok"] is True
    assert done.code == 0


async def test_a_target_without_an_operator_is_told_how_it_gets_one(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    told = checks(await looked(tmp_path, postgres18, operator=None))["operator"]
    assert told["ok"] is None
    assert "targets.t" in told["hint"]


# ---- the ledger and the keyring ------------------------------------------------------------------


async def test_a_ledger_that_is_not_made_is_told_with_what_makes_it(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    database = await postgres18.new_database()
    url = f"postgresql://{postgres18.superuser}@:{postgres18.port}/{database}?host={postgres18.host}"
    command = Command(tmp_path, {"t": postgres18.target_dict()}, url=url)
    done = await command.run("doctor", "--json")
    ledger = checks(done, 0)["ledger"]
    assert (done.code, ledger["ok"]) == (Exit.AUDIT, False)
    assert "dbdeck audit init" in ledger["hint"]
    assert (await command.run("audit", "init")).code == 0
    assert checks(await command.run("doctor", "--json"), 0)["ledger"]["ok"] is True


async def test_a_ledger_that_is_away_is_told_with_where_it_was_looked_for(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    url = "postgresql://x@127.0.0.1:1/ledger"
    command = Command(tmp_path, {"t": postgres18.target_dict()}, url=url)
    done = await command.run("doctor", "--json")
    ledger = checks(done, 0)["ledger"]
    assert (done.code, ledger["ok"]) == (Exit.AUDIT, False)
    assert "127.0.0.1:1" in ledger["detail"]
    assert ledger["hint"]


async def test_a_keyring_that_a_variable_chose_is_to_be_pinned(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    env = {"PYTHON_KEYRING_BACKEND": "tests.keyrings_for_tests.Good"}
    backend = checks(await looked(tmp_path, postgres18, env), 1)["backend"]
    assert backend["ok"] is None
    assert "keyring: {backend: tests.keyrings_for_tests.Good}" in backend["hint"]


async def test_a_locked_keyring_is_told_with_the_ways_to_open_it(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "dbdeck-vault").write_text("the-m4ster")
    wrong = {"user": OPERATOR, "password": "keyring:dbdeck/t/operator"}
    command = Command(tmp_path, {})
    values = {"audit": command.audit, "targets": {"t": postgres18.target_dict(operator=wrong)}}
    command.write({**values, "keyring": {"backend": "vault", "vault": str(tmp_path / "state" / "vault")}})
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    await command.run("secret", "set", "dbdeck/t/operator", env=env, text="x")
    done = await command.run("doctor", "--json")
    unlocked = checks(done, 1)["unlocked"]
    assert unlocked["ok"] is None
    assert "--master-key-fd" in unlocked["hint"]
    assert "--master-key-fd" in checks(done)["operator"]["hint"]


# ---- this machine --------------------------------------------------------------------------------


async def test_client_tools_that_are_missing_are_told_with_their_package(
    any_server: Server, tmp_path: Path
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    tools = checks(await looked(tmp_path, any_server, {"PATH": str(empty)}), 2)["client tools"]
    package = "default-mysql-client" if isinstance(any_server, MysqlServer) else "postgresql-client"
    assert tools["ok"] is None
    assert f"apt install {package}" in tools["hint"]


async def test_client_tools_that_are_there_are_named(postgres18: PostgresServer, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("psql", "pg_dump", "pg_basebackup"):
        (folder / name).symlink_to(shutil.which("true") or "/bin/true")
    tools = checks(await looked(tmp_path, postgres18, {"PATH": str(folder)}), 2)["client tools"]
    assert (tools["ok"], tools["detail"]) == (True, "psql, pg_dump, pg_basebackup")
