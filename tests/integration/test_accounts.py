"""Accounts on real servers: what is seen, what is unknown and why, and that no verifier gets out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio

from console.engine.account_check import check
from console.engine.mysql.account_rows import _BITS, _static
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import PrivilegeMissing
from console.model.account_findings import findings
from console.model.accounts import Account, Accounts, Due, judged
from console.model.guessing import Stored, guess
from console.model.hosts import chosen
from console.model.rotation import Rule
from console.model.verifiers import VerifierKind, make, parse
from tests.command import Command
from tests.servers.accounts import APP, MONITOR, PASSWORDS, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.targets import target_of

ON_MARIADB = pytest.mark.parametrize("mysql_name", ["mariadb"], scope="session")
ON_MYSQL = pytest.mark.parametrize("mysql_name", ["mysql"], scope="session")


class Town:
    """A server with a database of the test, a root, and what it has made."""

    def __init__(self, server: Server, database: str, root: Any, stack: AsyncExitStack) -> None:
        self.server = server
        self.database = database
        self.stack = stack
        self._root = root
        self._made: list[str] = []

    @property
    def mysql(self) -> bool:
        return isinstance(self.server, MysqlServer)

    async def run(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for sql in statements:
            if isinstance(self.server, MysqlServer):
                async with self._root.cursor() as cursor:
                    await cursor.execute(sql)
                    found = list(await cursor.fetchall())
            else:
                found = [tuple(row) for row in await self._root.fetch(sql)]
        return found

    async def person(self, password: str = "", host: str = "%", *, name: str = "", more: str = "") -> str:
        """A login with a password of its own; its name."""
        name = name or f"person_{uuid4().hex[:8]}"
        word = password or PASSWORDS[MONITOR]
        if self.mysql:
            account = f"'{name}'@'{host}'"
            await self.run(f"CREATE USER {account} IDENTIFIED BY '{word}' {more}")
        else:
            account = name
            await self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{word}' {more}")
        self._made.append(account)
        return name

    async def leave(self) -> None:
        for account in reversed(self._made):
            if not self.mysql:
                await self.run(f"DROP OWNED BY {account}")
            await self.run(f"DROP {'USER' if self.mysql else 'ROLE'} {account}")

    async def looking(self, user: str = MONITOR) -> Engine:
        """An engine of a login that has the monitor's password."""
        target = target_of(self.server, **self.target(user))
        return await self.stack.enter_async_context(open_engine(target))

    def target(self, user: str) -> dict[str, Any]:
        """What is different in the target of that login; PostgreSQL's grants are those of the database."""
        return {"database": "" if self.mysql else self.database, "monitor": {**login(MONITOR), "user": user}}

    async def seer(self) -> str:
        """A login with all that docs/accounts.md lists, besides the monitor's."""
        name = await self.person()
        if isinstance(self.server, PostgresServer):
            await self.run(
                f"GRANT pg_monitor TO {name}",
                f"GRANT SELECT (rolname, rolpassword, rolcanlogin) ON pg_catalog.pg_authid TO {name}",
                f"GRANT SELECT (subname, subconninfo) ON pg_catalog.pg_subscription TO {name}",
            )
            return name
        mariadb = self.server.flavor == "mariadb"
        tables = ["global_priv", "roles_mapping"] if mariadb else ["user", "global_grants", "role_edges"]
        more = ", REPLICATION CLIENT" + (", SLAVE MONITOR" if mariadb else "")
        await self.run(
            f"GRANT PROCESS{more} ON *.* TO {name}@'%'",
            f"GRANT SELECT ON performance_schema.* TO {name}@'%'",
            *(f"GRANT SELECT ON mysql.{table} TO {name}@'%'" for table in tables),
            f"GRANT SELECT (Server_name, Host, Username, Port) ON mysql.servers TO {name}@'%'",
        )
        return name

    async def secrets(self) -> list[str]:
        """Every verifier the server has."""
        if not self.mysql:
            rows = await self.run("select rolpassword from pg_authid where rolpassword is not null")
        else:
            rows = await self.run("select authentication_string from mysql.user")
        texts = [row[0].decode() if isinstance(row[0], bytes) else row[0] for row in rows]
        return [text for text in texts if text]


@pytest_asyncio.fixture
async def town(any_server: Server) -> AsyncIterator[Town]:
    async with _town(any_server) as made:
        yield made


@pytest_asyncio.fixture
async def city(mysql: MysqlServer) -> AsyncIterator[Town]:
    async with _town(mysql) as made:
        yield made


@pytest_asyncio.fixture
async def village(postgres: PostgresServer) -> AsyncIterator[Town]:
    async with _town(postgres) as made:
        yield made


class _town:  # noqa: N801 - a context manager in the shape of a function
    def __init__(self, server: Server) -> None:
        self._server = server
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Town:
        database = await self._server.new_database()
        if isinstance(self._server, MysqlServer):
            root = await self._server.connect()
            self._stack.callback(root.close)
        else:
            root = await self._server.connect(database=database)
            self._stack.callback(root.terminate)
        self._town = Town(self._server, database, root, self._stack)
        self._stack.push_async_callback(self._town.leave)
        return self._town

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def of(found: Accounts, name: str, host: str | None = None) -> Account:
    return next(one for one in found.accounts if one.name == name and host in (None, one.host))


# ---- all five --------------------------------------------------------------------------------


async def test_every_login_is_there_with_its_kind_and_nobodys_verifier(town: Town) -> None:
    found = await (await town.looking(await town.seer())).accounts()
    assert {APP, MONITOR, town.server.superuser} <= {one.name for one in found.accounts}
    common = VerifierKind.SCRAM
    if isinstance(town.server, MysqlServer):
        mariadb = town.server.flavor == "mariadb"
        common = VerifierKind.NATIVE if mariadb else VerifierKind.CACHING_SHA2
    assert of(found, APP).kinds == (common,)
    assert of(found, APP).may_login
    assert found.gaps == ()
    assert found.now is not None
    assert abs(found.now.timestamp() - time.time()) < 5
    shown = repr(found)
    assert not [text for text in await town.secrets() if text in shown]


async def test_the_superuser_is_recognised_and_stands_before_others(town: Town) -> None:
    found = judged(await (await town.looking(await town.seer())).accounts(), Rule())
    root = of(found, town.server.superuser)
    assert {"SUPERUSER", "ALL PRIVILEGES"} & {power.name for power in root.powers or ()}
    places = [one.name for one in found.accounts]
    assert places.index(root.name) < places.index(APP)
    assert of(found, APP).powers == ()


async def test_age_is_the_engines_or_unknown(town: Town) -> None:
    await town.person(name=(name := f"aged_{uuid4().hex[:6]}"))
    found = judged(await (await town.looking(await town.seer())).accounts(), Rule(every=86400.0))
    one = of(found, name)
    if town.mysql:
        assert one.age is not None
        assert one.age < 60
        assert one.due is Due.IN_TIME
    else:
        assert (one.age, one.due) == (None, Due.UNKNOWN)


async def test_sessions_are_counted_for_whom_they_belong_to(town: Town) -> None:
    name = await town.person()
    opened = [await _session(town, name) for _ in range(3)]
    found = of(await (await town.looking(await town.seer())).accounts(), name)
    assert found.logins is not None
    assert found.logins.total == 3
    for session in opened:
        await _end(session)


async def _session(town: Town, name: str, **options: Any) -> Any:
    if isinstance(town.server, MysqlServer):
        return await town.server.connect(name, PASSWORDS[MONITOR], **options)
    import asyncpg

    return await asyncpg.connect(
        host=options.pop("host", town.server.host),
        port=town.server.port,
        user=name,
        password=PASSWORDS[MONITOR],
        database=town.database,
        **options,
    )


async def _end(session: Any) -> None:
    ended = session.close()
    if ended is not None:
        await ended


async def test_what_may_not_be_read_is_unknown_with_the_grant_that_helps(town: Town) -> None:
    """Each statement that is named is run as it stands, until nothing is unknown any more."""
    name = await town.person()
    for _ in range(6):
        try:
            # A new one each time: grants on everything hold from the next login on.
            found = await (await town.looking(name)).accounts()
        except PrivilegeMissing as missing:
            assert town.mysql
            await town.run(missing.hint)
            continue
        if not found.gaps:
            break
        if of(found, APP).kinds is None:
            assert of(found, APP).no_password is None
        for gap in found.gaps:
            await town.run(gap.remedy.partition(" --")[0])
    else:
        raise AssertionError("something stays unknown")
    assert of(found, APP).kinds
    if not town.mysql:
        await town.run(f"REVOKE pg_monitor FROM {name}")


async def test_no_privilege_for_verifiers_is_told_with_the_grant(town: Town) -> None:
    name = await town.person()
    engine = await town.looking(name)
    with pytest.raises(PrivilegeMissing) as missing:
        await engine.verifiers()
    await town.run(missing.value.hint)
    stored = await engine.verifiers()
    assert any(one.name == APP for one in stored)
    assert not [text for text in await town.secrets() if text in repr(stored)]


async def test_weak_shared_and_good_passwords_are_told_apart_without_a_login(town: Town) -> None:
    seer = await town.seer()
    named = f"weak_{uuid4().hex[:6]}"
    await town.person(named, name=named)
    common_ = await town.person("mysecretpassword", name=f"common_{uuid4().hex[:6]}")
    good = await town.person("gT7-long-and-unguessed-x9", name=f"good_{uuid4().hex[:6]}")
    before = await _logins(town)
    checked = await check(await town.looking(seer), Rule(), seconds=30)
    assert checked.guesses is not None
    assert checked.guesses.tried > 100
    by_account: dict[str, list[str]] = {}
    for one in checked.findings:
        by_account.setdefault(one.account.partition("@")[0], []).append(f"{one.what}: {one.why}")
    assert any("guessed: its password is the account's name" in said for said in by_account[named])
    assert any("guessed: its password is a well-known" in said for said in by_account[common_])
    assert not any(said.startswith("guessed") for said in by_account.get(good, []))
    assert "mysecretpassword" not in repr(checked)
    assert await _logins(town) - before == 1  # the look's own


async def _logins(town: Town) -> int:
    """Tries to log in since the server's start: each gets a number, or a row of statistics."""
    if town.mysql:
        return int((await town.run("show global status like 'Connections'"))[0][1])
    await asyncio.sleep(1.2)  # the statistics of a session come when it has been idle for a second
    return int((await town.run("select sum(sessions) from pg_stat_database"))[0][0])


async def test_two_with_one_password_are_found_out(town: Town) -> None:
    seer = await town.seer()
    pair = [await town.person("changeme", name=f"pair{n}_{uuid4().hex[:6]}") for n in (1, 2)]
    checked = await check(await town.looking(seer), Rule(), seconds=30)
    shared = [one for one in checked.findings if one.what == "shared password"]
    assert {one.account.partition("@")[0] for one in shared} >= set(pair)


async def test_the_command_prints_documents_and_no_verifier(town: Town, tmp_path: Path) -> None:
    seer = await town.seer()
    command = Command(tmp_path, {"t": town.server.target_dict(**town.target(seer))})
    document = await command.run("show", "accounts", "-t", "t", "--json")
    assert document.code == 0, document
    assert document.document["schema"] == "dbdeck/accounts/1"
    assert {row["name"] for row in document.rows} >= {APP, MONITOR}
    checked = await command.run("show", "accounts", "-t", "t", "--check", "--budget", "2s", "--json")
    assert checked.code == 0, checked
    assert checked.document["schema"] == "dbdeck/account_check/1"
    assert checked.document["guesses"]["tried"] > 0
    texts = [await command.run("show", "accounts", "-t", "t", form) for form in ("--csv",)]
    texts += [await command.run("show", "accounts", "-t", "t")]
    texts += [await command.run("show", "accounts", "-t", "t", "--check", "--budget", "1s")]
    assert [done.code for done in texts] == [0, 0, 0]
    shown = "".join(done.out + done.err for done in (document, checked, *texts))
    assert not [text for text in await town.secrets() if text in shown]


async def test_a_check_of_another_subject_is_refused(tmp_path: Path, postgres18: PostgresServer) -> None:
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    done = await command.run("show", "locks", "-t", "t", "--check")
    assert done.code == 2
    assert "nothing was read" in done.err


# ---- PostgreSQL ------------------------------------------------------------------------------


async def test_rights_are_found_through_memberships_that_can_be_used(village: Town) -> None:
    tag = uuid4().hex[:6]
    boss, group, dev = f"boss_{tag}", f"group_{tag}", f"dev_{tag}"
    await village.person(name=boss, more="SUPERUSER")
    await village.person(name=group)
    await village.person(name=dev)
    await village.run(f"ALTER ROLE {group} NOLOGIN NOINHERIT")
    await village.run(f"GRANT {boss} TO {group}", f"GRANT {group} TO {dev}")
    await village.run(f"GRANT pg_execute_server_program TO {group}")
    powers = {
        power.name: power.via for power in of(await (await village.looking()).accounts(), dev).powers or ()
    }
    assert powers["SUPERUSER"] == (group, boss)
    assert powers["pg_execute_server_program"] == (group, "pg_execute_server_program")


async def test_a_membership_without_any_option_is_no_way(village: Town) -> None:
    version = (await village.run("select current_setting('server_version_num')::int"))[0][0]
    tag = uuid4().hex[:6]
    boss, dev = f"boss_{tag}", f"dev_{tag}"
    await village.person(name=boss, more="CREATEROLE")
    await village.person(name=dev)
    options = " WITH INHERIT FALSE, SET FALSE" if version >= 160000 else ""
    await village.run(f"GRANT {boss} TO {dev}{options}")
    powers = of(await (await village.looking()).accounts(), dev).powers or ()
    assert bool(powers) is (version < 160000)


async def test_the_end_of_a_password_is_shown_and_infinity_is_none(village: Town) -> None:
    past = await village.person(more="VALID UNTIL '2020-01-01'")
    never = await village.person(more="VALID UNTIL 'infinity'")
    found = await (await village.looking()).accounts()
    assert of(found, past).expired
    assert of(found, past).valid_until is not None
    assert not of(found, never).expired
    assert of(found, never).valid_until is None


async def test_tls_of_sessions_is_counted(postgres_tls: PostgresServer) -> None:
    async with _town(postgres_tls) as town:
        name = await town.person()
        opened = [
            await _session(town, name, host="127.0.0.1", ssl="require"),
            await _session(town, name, host="127.0.0.1", ssl=False),
        ]
        logins = of(await (await town.looking()).accounts(), name).logins
        assert logins is not None
        assert (logins.total, logins.encrypted, logins.clear) == (2, 1, 1)
        for session in opened:
            await _end(session)


async def test_who_streams_as_a_role_depends_on_it(village: Town) -> None:
    name = await village.person(more="REPLICATION")
    where: dict[str, Any] = {"host": village.server.host, "port": village.server.port}

    def stream() -> Any:
        return psycopg.connect(
            **where, user=name, password=PASSWORDS[MONITOR], dbname=village.database,
            application_name="replica-7", replication="database",
        )  # fmt: skip

    with await asyncio.to_thread(stream):
        found = of(await (await village.looking()).accounts(), name)
    (one,) = found.dependents
    assert (one.kind, one.name, one.breaks) == ("replication session", "replica-7", "at its next reconnect")


async def test_as_whom_the_server_logs_in_elsewhere_is_told_without_the_passwords(village: Town) -> None:
    tag = uuid4().hex[:6]
    infos = {
        f"s1_{tag}": "host=pub.example user='re pl' password='canary user=evil x'",
        f"s2_{tag}": "postgresql://uri_user:canary%40x@pub2:5444/db?sslmode=require",
        f"s3_{tag}": "password = canary user=plain host=h3",
    }
    await village.run(
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far.example')",
        f"CREATE USER MAPPING FOR {APP} SERVER far OPTIONS (user 'mapped', password 'canary')",
        *(
            f"CREATE SUBSCRIPTION {name} CONNECTION $x${info}$x$ PUBLICATION p WITH (connect = false)"
            for name, info in infos.items()
        ),
    )
    try:
        seer = await village.person(more="SUPERUSER")
        seen = await (await village.looking(seer)).accounts()
        blind = await (await village.looking()).accounts()
    finally:
        for name in infos:
            await village.run(
                f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)", f"DROP SUBSCRIPTION {name}"
            )
    users = {one.name: (one.user, one.address) for one in seen.outgoing}
    assert users[f"s1_{tag}"] == ("re pl", "pub.example")
    assert users[f"s2_{tag}"] == ("uri_user", "pub2:5444")
    assert users[f"s3_{tag}"] == ("plain", "h3")
    assert users[f"far for {APP}"] == ("mapped", "far.example")
    assert "canary" not in repr(seen)
    assert "evil" not in repr(seen)
    hidden = {one.name: one.user for one in blind.outgoing}
    assert set(hidden) >= set(infos)
    assert all(hidden[name] is None for name in infos)
    assert any("pg_subscription" in gap.remedy for gap in blind.gaps)


# ---- MySQL and MariaDB -----------------------------------------------------------------------


async def test_all_hosts_of_a_user_are_told_apart_as_the_server_does(city: Town) -> None:
    name = f"hosts_{uuid4().hex[:6]}"
    seer = await city.seer()
    engine = await city.looking(seer)
    for host in ("%", "127.%", "127.0.0.0/255.255.0.0", "127.0.0.1"):
        await city.person(host=host, name=name)
        session = await _session(city, name)
        async with session.cursor() as cursor:
            await cursor.execute("select current_user()")
            taken = (await cursor.fetchone())[0]
        found = await engine.accounts()
        pairs = [(one.name, one.host or "") for one in found.accounts]
        assert chosen(pairs, name, "127.0.0.1") == tuple(taken.rsplit("@", 1))
        logins = of(found, name, taken.rpartition("@")[2]).logins
        assert logins is not None
        assert logins.total == 1
        session.close()
        await session.ensure_closed() if not session.closed else None
        await asyncio.sleep(0.2)


async def test_tls_and_sockets_are_told_apart(city: Town) -> None:
    import ssl

    assert isinstance(city.server, MysqlServer)
    context = ssl.create_default_context(cafile=str(city.server.ca_file))
    context.check_hostname = False
    name = await city.person()
    opened = [
        await _session(city, name, ssl=context),
        await _session(city, name, host=None, unix_socket=str(city.server.socket)),
    ]
    logins = of(await (await city.looking(await city.seer())).accounts(), name).logins
    assert logins is not None
    assert (logins.total, logins.encrypted, logins.local) == (2, 1, 1)
    for session in opened:
        session.close()


async def test_sessions_that_outlived_the_password_are_counted_at_least(city: Town) -> None:
    name = await city.person()
    engine = await city.looking(await city.seer())
    old = [await _session(city, name) for _ in range(2)]
    await asyncio.sleep(5.5)
    await city.run(f"ALTER USER '{name}'@'%' IDENTIFIED BY 'an0ther-word'")
    logins = of(await engine.accounts(), name).logins
    assert logins is not None
    assert (logins.total, logins.before, logins.before_exact) == (2, 2, True)
    for session in old:
        session.close()


async def test_locked_expired_and_open_accounts_are_seen(city: Town) -> None:
    locked = await city.person(more="ACCOUNT LOCK")
    expired = await city.person(more="PASSWORD EXPIRE")
    limited = await city.person(more="PASSWORD EXPIRE INTERVAL 5 DAY")
    bare = f"bare_{uuid4().hex[:6]}"
    await city.person(name=bare, host="localhost")
    await city.run(f"SET PASSWORD FOR '{bare}'@'localhost' = ''")
    found = await (await city.looking(await city.seer())).accounts()
    assert not of(found, locked).may_login
    assert of(found, expired).expired
    until = of(found, limited)
    assert until.valid_until is not None
    assert until.changed_at is not None
    assert (until.valid_until - until.changed_at).days == 5
    assert of(found, bare).no_password
    said = {(one.account, one.what) for one in findings(found, None)}
    assert (f"{bare}@localhost", "no password") in said


async def test_rights_through_a_role_are_found(city: Town) -> None:
    role = f"role_{uuid4().hex[:6]}"
    name = await city.person()
    await city.run(f"CREATE ROLE {role}", f"GRANT FILE ON *.* TO {role}", f"GRANT {role} TO '{name}'@'%'")
    found = await (await city.looking(await city.seer())).accounts()
    await city.run(f"DROP ROLE {role}")
    powers = {power.name: power.via for power in of(found, name).powers or ()}
    assert powers["FILE"][0].partition("@")[0] == role
    assert of(found, role).role
    assert not of(found, role).may_login


@ON_MYSQL
async def test_an_older_password_that_is_retained_is_an_open_overlap(city: Town) -> None:
    name = await city.person("first-w0rd")
    await city.run(f"ALTER USER '{name}'@'%' IDENTIFIED BY 'letmein' RETAIN CURRENT PASSWORD")
    engine = await city.looking(await city.seer())
    assert of(await engine.accounts(), name).overlap
    assert [one.which for one in await engine.verifiers() if one.name == name] == ["", "its older password"]
    await city.run(f"ALTER USER '{name}'@'%' DISCARD OLD PASSWORD")
    assert not of(await engine.accounts(), name).overlap


@ON_MARIADB
async def test_several_ways_into_one_account_are_seen(city: Town) -> None:
    name = await city.person()
    engine = await city.looking(await city.seer())
    await city.run(
        f"ALTER USER '{name}'@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('a') OR "
        "mysql_native_password USING PASSWORD('b')"
    )
    one = of(await engine.accounts(), name)
    assert (one.overlap, one.kinds) == (True, (VerifierKind.NATIVE, VerifierKind.NATIVE))
    await city.run(f"ALTER USER '{name}'@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING ''")
    one = of(await engine.accounts(), name)
    assert one.no_password
    assert not one.overlap
    await city.run(f"ALTER USER '{name}'@'%' IDENTIFIED VIA unix_socket")
    one = of(await engine.accounts(), name)
    assert (one.external, one.no_password) == (True, False)


@ON_MARIADB
async def test_each_bit_of_mariadbs_rights_has_its_name(city: Town) -> None:
    name = await city.person()
    wrong = []
    for bit, right in enumerate(_BITS):
        granted = "USAGE" if right == "GRANT OPTION" else right
        more = " WITH GRANT OPTION" if right == "GRANT OPTION" else ""
        await city.run(f"GRANT {granted} ON *.* TO '{name}'@'%'{more}")
        rows = await city.run(
            f"select json_value(priv, '$.access') from mysql.global_priv where user = '{name}'"
        )
        if _static(str(rows[0][0])) != {right}:
            wrong.append((bit, right, rows[0][0]))
        await city.run(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{name}'@'%'")
    assert wrong == []


# ---- the guessing itself ---------------------------------------------------------------------


def many(count: int) -> Sequence[Stored]:
    verifier = parse(make(VerifierKind.CACHING_SHA2, "n0body-knows"), "caching_sha2_password")
    return [Stored(name=f"n{n}", host="%", verifier=verifier) for n in range(count)]


async def test_the_loop_stays_alive_while_guesses_are_tried() -> None:
    gaps: list[float] = []

    async def heart() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    beat = asyncio.create_task(heart())
    found = await asyncio.to_thread(guess, many(20), ["x"] * 500, seconds=1.5)
    beat.cancel()
    assert not found.complete
    assert found.seconds < 3
    assert len(gaps) > 20
    assert sorted(gaps)[len(gaps) // 2] < 0.1
