"""`dbdeck init` on real servers, by flags: what it makes, what it writes, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.config import load
from console.errors import Exit
from tests.command import Command, Done
from tests.integration.actions.admins import drop, new_name
from tests.integration.actions.conftest import superuser
from tests.integration.test_kill import CHILD
from tests.servers import accounts
from tests.servers.fleet import Fleet, Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

MASTER, CANARY = "a-l0ng-enough-master", "c4n4ry-4dm1n-pw"
SERVERS = ("pg15", "pg18", "mariadb", "mysql")


class Newcomer(Command):
    """A person with a home of their own, and nothing in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {})
        self.config.unlink()
        (folder / "credentials").mkdir()
        (folder / "credentials" / "dbdeck-vault").write_text(MASTER)
        self.env = {"HOME": str(folder), "CREDENTIALS_DIRECTORY": str(folder / "credentials")}

    async def init(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        return await self.run("init", *words, env={**self.env, **(env or {})})

    async def call(self, *words: str) -> Done:
        return await self.run(*words, env=self.env)


@pytest.fixture
def home(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, fleet: Fleet) -> Server:
    if request.param not in request.config.getoption("--servers"):
        pytest.skip(f"{request.param} is not among --servers")
    return fleet.get(request.param)


@pytest_asyncio.fixture
async def pair(server: Server) -> AsyncIterator[tuple[str, str]]:
    """Names for the two logins."""
    made = new_name(), new_name()
    yield made
    for name in made:
        there = "mysql.user where user" if isinstance(server, MysqlServer) else "pg_roles where rolname"
        if (await superuser(server, f"select count(*) from {there} = '{name}'"))[0][0]:
            await drop(server, name)


def where(server: Server) -> list[str]:
    """The server over TCP, as dbdeck will reach it, and its superuser over the socket."""
    given = server.target_dict()
    words = ["--engine", given["engine"], "--host", given["host"], "--port", str(given["port"])]
    words += [
        "--tls",
        given["tls"],
        "--environment",
        "dev",
        *(["--ca", given["ca"]] if "ca" in given else []),
    ]
    return words


def admin(server: Server) -> list[str]:
    socket = str(server.socket) if isinstance(server, MysqlServer) else server.host
    return ["--admin", server.superuser, "--admin-host", socket]


def make(server: Server, pair: tuple[str, str], *more: str) -> list[str]:
    names = ["--monitor", pair[0], "--operator", pair[1]]
    return [*where(server), *admin(server), *names, "--name", "first", "--create", "--yes", *more]


def checks(document: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    (row,) = (row for row in document["doctor"] if row["name"].startswith(name))
    return {check["name"]: check for check in row["checks"]}


async def test_one_command_makes_everything_and_it_works(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, pair, "--json"))
    assert done.code == 0, done.err
    document = done.document
    assert (document["schema"], document["target"]) == ("dbdeck/init/1", "first")
    assert [(one["account"], one["effect"]) for one in document["created"]] == [
        (name, "applied") for name in pair
    ]
    assert checks(document, "first")["reach"]["ok"] is True
    assert checks(document, "first")["operator"]["ok"] is True
    assert document["next"] == "dbdeck show locks -t first"
    shown = await home.call("show", "sessions", "-t", "first", "--json")
    assert (shown.code, shown.document["schema"]) == (0, "dbdeck/sessions/1"), shown.err
    verified = await home.call("audit", "verify", "--json")
    assert (verified.code, verified.document["open_intents"]) == (0, [])


async def test_the_config_has_comments_and_is_its_owners_alone(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, pair))
    assert done.code == 0, done.err
    assert "next: dbdeck show locks -t first" in done.out
    text = home.config.read_text()
    assert "# Where actions are recorded before they are executed." in text
    assert f'password: "keyring:dbdeck/first/{pair[0]}"' in text
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o600
    assert stat.S_IMODE((home.folder / ".local/state/dbdeck/vault").stat().st_mode) == 0o600


async def test_a_second_target_leaves_the_file_as_it_is(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    home.config.write_text(
        "# mine\ntargets:\n  # old\n  old: {engine: mysql, monitor: {user: m}}\n\ntheme: dbdeck  # x\n"
    )
    home.config.chmod(0o640)
    before = home.config.read_text().splitlines()
    done = await home.init(*make(server, pair))
    assert done.code == 0, done.err
    left = iter(home.config.read_text().splitlines())
    assert all(line in left for line in before)
    assert list(load(home.config).targets) == ["old", "first"]
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o640


async def test_both_plans_are_told_before_the_first_login_is_made(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, pair))
    assert done.code == 0, done.err
    plans = [done.err.index(f"make the {which} login {name}") for which, name in
             zip(("monitor", "operator"), pair, strict=True)]  # fmt: skip
    assert sorted(plans) == plans
    assert plans[1] < done.err.index("recorded")


async def test_a_second_login_that_is_not_ours_keeps_the_first_from_being_made(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, (pair[0], accounts.OPERATOR)))
    assert done.code == Exit.USAGE
    assert f"there is an account {accounts.OPERATOR}" in done.err
    home.config.write_text("targets: {}\n")
    rows = await home.call("audit", "list", "--kind", "intent", "--json")
    assert (rows.code, rows.rows) == (0, []), rows.err


def there(name: str) -> list[str]:
    words = ["--monitor", accounts.MONITOR, "--monitor-password", "env:DBDECK_TEST_MONITOR", "--no-create"]
    return [*words, "--name", name, "--yes", "--json"]


async def test_a_config_whose_ledger_is_not_there_gets_one_once(
    home: Newcomer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/not/yet/audit.db"
    home.config.write_text(f"audit: {{url: {url}, journal: {tmp_path}/journal}}\ntargets: {{}}\n")
    first = await home.init(*where(postgres18), *there("first"))
    assert first.code == 0, first.err
    assert "there is none: it is made now" in first.err
    assert first.document["ledger_made"]
    second = await home.init(*where(postgres18), *there("second"))
    assert (second.code, second.document["ledger_made"]) == (0, []), second.err
    verified = await home.call("audit", "verify", "--json")
    assert (verified.code, verified.document["ok"]) == (0, True)


async def test_a_ledger_on_a_server_that_is_not_there_yet_is_made_too(
    home: Newcomer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    name = new_name()
    await superuser(postgres18, f"create database {name}")
    try:
        place = f"{postgres18.superuser}@localhost:{postgres18.port}/{name}"
        url = f"postgresql://{place}?host={postgres18.host}"
        home.config.write_text(f'audit: {{url: "{url}", journal: {tmp_path}/journal}}\ntargets: {{}}\n')
        done = await home.init(*where(postgres18), *there("first"))
        assert done.code == 0, done.err
        assert done.document["ledger_made"]
        assert (await home.call("audit", "verify", "--json")).code == 0
    finally:
        await superuser(postgres18, f"drop database {name} with (force)")


async def test_logins_that_are_there_are_used_by_reference(home: Newcomer, server: Server) -> None:
    words = ["--monitor", accounts.MONITOR, "--monitor-password", "env:DBDECK_TEST_MONITOR"]
    words += ["--operator", accounts.OPERATOR, "--operator-password", "env:DBDECK_TEST_OPERATOR"]
    done = await home.init(*where(server), *words, "--name", "first", "--no-create", "--yes", "--json")
    assert done.code == 0, done.err
    assert done.document["created"] == []
    entry = load(home.config).targets["first"]
    assert entry.monitor.password == "env:DBDECK_TEST_MONITOR"
    assert not (home.folder / ".local/state/dbdeck/vault").exists(), "nothing was to be kept"


async def test_a_wrong_password_writes_nothing(home: Newcomer, server: Server) -> None:
    words = ["--monitor", accounts.MONITOR, "--monitor-password", "env:WRONG", "--no-create"]
    done = await home.init(*where(server), *words, "--name", "first", "--yes", env={"WRONG": CANARY})
    assert done.code == Exit.UNREACHABLE
    assert not home.config.exists()
    assert CANARY not in done.out + done.err


async def test_the_statements_are_told_for_the_engine_and_version(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, pair, "--json"))
    told = done.document["statements"]
    start = "CREATE USER" if isinstance(server, MysqlServer) else "CREATE ROLE"
    assert sum(one.startswith(start) for one in told) == 2
    assert any("pg_signal_backend" in one or "CONNECTION" in one for one in told)
    assert "'…'" in told[0]
    assert "REVOKE" not in done.err, "nothing is to be taken from the administrator"


async def test_an_account_that_is_there_is_told_and_nothing_is_written(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, (accounts.MONITOR, pair[1])))
    assert done.code == Exit.USAGE
    assert f"there is an account {accounts.MONITOR}" in done.err
    assert "of `dbdeck init`: --monitor" in done.err
    assert not home.config.exists()


async def test_what_was_cut_off_before_the_config_is_gone_on_with(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    assert (await home.init(*make(server, pair))).code == 0
    home.config.unlink()
    again = await home.init(*make(server, pair, "--json"))
    assert again.code == 0, again.err
    assert [one["effect"] for one in again.document["created"]] == ["no_op", "no_op"]


_NULL = asyncio.subprocess.DEVNULL


async def killed(home: Newcomer, turn: int, *words: str) -> int:
    """The exit code of an init that dies by its own hand, so many turns after an intent."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, "--config", str(home.config), "init", *words,
        env={**os.environ, **home.env, "KILL_AT": str(turn)},
        stdin=_NULL, stdout=_NULL, stderr=_NULL,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    await process.communicate()
    return process.returncode or 0


@pytest.mark.parametrize("turn", [3, 20, 35, 50, 80])
async def test_killed_while_it_makes_logins_the_next_one_ends_it(
    home: Newcomer, server: Server, pair: tuple[str, str], turn: int
) -> None:
    code = await killed(home, turn, *make(server, pair))
    assert code == -signal.SIGKILL
    assert not home.config.exists()
    for _ in range(3):
        done = await home.init(*make(server, pair, "--json"))
        if done.code == 0:
            break
        await asyncio.sleep(2)  # what the dead one sent may be at work still, and holds its lock
    assert done.code == 0, done.err
    assert checks(done.document, "first")["reach"]["ok"] is True
    assert checks(done.document, "first")["operator"]["ok"] is True
    listed = await home.call("secret", "list", "--json")
    assert {row["name"] for row in listed.rows} == {f"dbdeck/first/{name}" for name in pair}
    verified = await home.call("audit", "verify", "--json")
    assert (verified.code, verified.document["open_intents"]) == (0, [])


async def test_no_password_is_shown_or_written_but_to_the_vault(
    home: Newcomer, server: Server, pair: tuple[str, str]
) -> None:
    done = await home.init(*make(server, pair))
    assert done.code == 0, done.err
    from console.keyrings import Keyring, pin
    from console.secret_store import KeyringStore
    from console.secrets import entry_of

    vault = home.folder / ".local/state/dbdeck/vault"
    store = KeyringStore(pin(Keyring(backend="vault", vault=str(vault)), environ=home.env))
    kept = await store.get(f"dbdeck/first/{pair[0]}")
    assert kept is not None
    word = entry_of(kept).password.reveal()
    assert word not in done.out + done.err
    files = [one for one in home.folder.rglob("*") if one.is_file()]
    assert [one for one in files if word.encode() in one.read_bytes()] == []


# ---- refusals ------------------------------------------------------------------------------------

BASE = ["--engine", "postgres", "--host", "127.0.0.1", "--port", "1"]


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ([], "--engine postgres|mysql --host HOST"),
        (["--host", "db.example.net", "--port", "1"], "--engine postgres|mysql"),
        (BASE, "--create or --no-create"),
        ([*BASE, "--no-create"], "--monitor USER"),
    ],
)
async def test_without_a_terminal_the_flag_that_is_missing_is_named(
    home: Newcomer, words: list[str], flag: str
) -> None:
    done = await home.init(*words)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert flag in done.err
    assert not home.config.exists()


async def test_without_yes_nothing_is_approved(home: Newcomer, postgres18: PostgresServer) -> None:
    words = ["--no-create", "--monitor", accounts.MONITOR, "--monitor-password", "env:DBDECK_TEST_MONITOR"]
    done = await home.init(*where(postgres18), *words)
    assert done.code == Exit.USAGE
    assert "--yes" in done.err
    assert not home.config.exists()


async def test_a_literal_password_is_refused_and_not_repeated(home: Newcomer) -> None:
    done = await home.init(*BASE, "--create", "--admin-password", CANARY, "--yes")
    assert done.code == Exit.USAGE
    assert "a password must be a reference" in done.err
    assert CANARY not in done.err


async def test_a_server_that_is_away_is_told_and_nothing_is_written(home: Newcomer) -> None:
    done = await home.init(*BASE, "--create", "--yes")
    assert done.code == Exit.UNREACHABLE
    assert not home.config.exists()


async def test_tls_that_is_not_there_is_told_with_its_flag(
    home: Newcomer, postgres18: PostgresServer
) -> None:
    words = [*where(postgres18), "--tls", "require", "--no-create", "--monitor", accounts.MONITOR]
    done = await home.init(*words, "--monitor-password", "env:DBDECK_TEST_MONITOR", "--yes")
    assert done.code == Exit.UNREACHABLE
    assert "--tls" in done.err


async def test_a_target_of_that_name_is_not_replaced(home: Newcomer) -> None:
    text = "targets: {first: {engine: mysql, monitor: {user: m}}}\n"
    home.config.write_text(text)
    done = await home.init(*BASE, "--create", "--name", "first", "--yes")
    assert done.code == Exit.USAGE
    assert "has a target first already" in done.err
    assert home.config.read_text() == text


@pytest.mark.parametrize("name", ["a b", "-x", "a/b", "x\x1b[2J", "ü"])
async def test_a_name_that_cannot_be_typed_is_refused(home: Newcomer, name: str) -> None:
    done = await home.init(*BASE, "--create", f"--name={name}", "--yes")
    assert done.code == Exit.USAGE
    assert "is no name for a target" in done.err
    assert "\x1b" not in done.err


async def test_a_powerful_monitor_is_told_so(home: Newcomer, postgres18: PostgresServer) -> None:
    words = ["--engine", "postgres", "--host", postgres18.host, "--port", str(postgres18.port), "--no-create"]
    done = await home.init(*words, "--monitor", postgres18.superuser, "--name", "first", "--yes")
    assert "monitor cannot act: the polling role could end sessions" in done.err


async def test_a_bad_config_is_not_written_over(home: Newcomer) -> None:
    home.config.write_text("targets: [\n")
    done = await home.init(*BASE, "--create", "--yes")
    assert done.code == Exit.USAGE
    assert home.config.read_text() == "targets: [\n"


async def test_by_a_policy_with_a_slip_in_it_nothing_is_made(
    home: Newcomer, postgres18: PostgresServer
) -> None:
    """It would be judged by it whether the logins may be made."""
    text = "targets: {}\npolicy: {deny: [{actions: [acount.create], reason: not here}]}\n"
    home.config.write_text(text)
    words = ["--engine", "postgres", "--host", postgres18.host, "--port", str(postgres18.port), "--no-create"]
    done = await home.init(*words, "--monitor", postgres18.superuser, "--name", "first", "--yes")
    assert (done.code, "acount.create" in done.err) == (Exit.USAGE, True), done
    assert home.config.read_text() == text


async def test_a_ledger_of_an_existing_config_is_not_changed(home: Newcomer) -> None:
    home.config.write_text("targets: {}\n")
    done = await home.init(*BASE, "--create", "--yes", "--ledger", "sqlite:///~/other.db")
    assert done.code == Exit.USAGE
    assert "--ledger was not taken" in done.err


async def test_force_writes_a_new_config_and_keeps_the_old_one(
    home: Newcomer, postgres18: PostgresServer
) -> None:
    home.config.write_text("targets: {}  # old\n")
    words = ["--no-create", "--monitor", accounts.MONITOR, "--monitor-password", "env:DBDECK_TEST_MONITOR"]
    done = await home.init(*where(postgres18), *words, "--name", "first", "--yes", "--force")
    assert done.code == 0, done.err
    assert home.config.with_name("config.yaml.old").read_text() == "targets: {}  # old\n"
    assert list(load(home.config).targets) == ["first"]
    assert load(home.config).targets["first"].operator is None


async def test_a_ledger_on_a_server_is_made(home: Newcomer, postgres18: PostgresServer) -> None:
    database = await postgres18.new_database()
    url = f"postgresql://{postgres18.superuser}@:{postgres18.port}/{database}?host={postgres18.host}"
    words = ["--no-create", "--monitor", accounts.MONITOR, "--monitor-password", "env:DBDECK_TEST_MONITOR"]
    done = await home.init(*where(postgres18), *words, "--yes", "--json", "--ledger", url)
    assert done.code == 0, done.err
    assert done.document["ledger_made"]
    assert load(home.config).audit.url == url


async def test_a_password_of_a_service_file_goes_to_the_keyring_and_not_to_the_config(
    home: Newcomer, postgres18: PostgresServer
) -> None:
    service = home.folder / "services"
    word = accounts.PASSWORDS[accounts.MONITOR]
    service.write_text(
        f"[shop]\nhost=127.0.0.1\nport={postgres18.port}\nuser={accounts.MONITOR}\npassword={word}\n"
    )
    listed = await home.init("--find", "--json", env={"PGSERVICEFILE": str(service)})
    assert "shop" in {row["name"] for row in listed.rows}
    assert word not in listed.out
    words = ["--host", "127.0.0.1", "--engine", "postgres", "--tls", "off", "--monitor", accounts.MONITOR]
    done = await home.init(*words, "--no-create", "--yes", "--json", env={"PGSERVICEFILE": str(service)})
    assert done.code == 0, done.err
    assert done.document["target"] == "shop"
    assert word not in home.config.read_text() + done.out + done.err
    assert load(home.config).targets["shop"].monitor.password == f"keyring:dbdeck/shop/{accounts.MONITOR}"


async def test_what_pgpass_has_stays_there(home: Newcomer, postgres18: PostgresServer) -> None:
    word = accounts.PASSWORDS[accounts.MONITOR]
    passwords = home.folder / ".pgpass"
    passwords.write_text(f"127.0.0.1:{postgres18.port}:*:{accounts.MONITOR}:{word}\n")
    passwords.chmod(0o600)
    words = [*where(postgres18), "--monitor", accounts.MONITOR, "--no-create", "--yes", "--json"]
    done = await home.init(*words)
    assert done.code == 0, done.err
    assert load(home.config).targets[done.document["target"]].monitor.password is None
    assert word not in home.config.read_text() + done.out + done.err
    assert json.loads(done.out)["doctor"]
