"""Deadlocks made on real servers: each is told once, with its loser, from every format of the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from console.dispatch.scratch import LOCAL_TRUST, ScratchServer, scratch_postgres, start, stop
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import Unreachable
from console.model.deadlocks import Deadlock, DeadlockHistory
from console.model.target import EngineKind, Environment, Login, Target, TlsMode
from tests.servers import places
from tests.servers.proxy import tcp_proxy

ROLES = """
create role watcher login in role pg_monitor;
create role app login;
grant all on schema public to app;
create table orders (id int primary key, n int);
create table stock (id int primary key, n int);
insert into orders select g, 0 from generate_series(1, 50) g;
insert into stock select g, 0 from generate_series(1, 50) g;
grant all on all tables in schema public to app;
"""
GRANTS = (
    "grant execute on function pg_current_logfile(text) to watcher",
    "grant execute on function pg_read_binary_file(text, bigint, bigint) to watcher",
)
SETTINGS = {
    "logging_collector": "on",
    "deadlock_timeout": "20ms",
    "fsync": "off",
    "log_line_prefix": "%m [%p] %q%u@%d/%a ",
    "log_timezone": "Europe/Berlin",
    "autovacuum": "off",
}
FORMS = ("stderr", "csvlog", "jsonlog")
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


@pytest_asyncio.fixture(params=places.POSTGRES)
async def logging(request: pytest.FixtureRequest) -> AsyncIterator[ScratchServer]:
    """A server of each version that writes all three formats."""
    if request.param not in str(request.config.getoption("--servers")):
        pytest.skip(f"{request.param} is not among --servers")
    async with _logging(request.param) as server:
        yield server


@pytest_asyncio.fixture
async def logging18(request: pytest.FixtureRequest) -> AsyncIterator[ScratchServer]:
    if "pg18" not in str(request.config.getoption("--servers")):
        pytest.skip("pg18 is not among --servers")
    async with _logging("pg18") as server:
        yield server


def _logging(name: str, **settings: str) -> Any:
    binaries = places.postgres_binaries(name)
    given = {**SETTINGS, "log_destination": ",".join(FORMS), **settings}
    return scratch_postgres(binaries=binaries, settings=given, hba=LOCAL_TRUST)


async def connect(server: ScratchServer, user: str = "postgres", **options: Any) -> Connection:
    return await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=user, database="postgres", **options
    )


async def prepare(server: ScratchServer, *statements: str) -> None:
    admin = await connect(server)
    for statement in (ROLES, *statements):
        await admin.execute(statement)
    await admin.close()


async def configure(server: ScratchServer, **settings: str) -> None:
    admin = await connect(server)
    for name, value in settings.items():
        await admin.execute(f"alter system set {name} = '{value}'")
    await admin.execute("select pg_reload_conf()")
    await admin.close()
    await asyncio.sleep(0.5)


def target(server: ScratchServer, log: str | None = None) -> Target:
    return Target(
        name="logging",
        engine=EngineKind.POSTGRES,
        host=str(server.socket_dir),
        port=server.port,
        database="postgres",
        environment=Environment.DEV,
        monitor=Login(user="watcher"),
        log=log,
    )


class Pair:
    """Two sessions that take the rows of two tables in opposite order."""

    def __init__(self, first: Connection, second: Connection) -> None:
        self.sessions = (first, second)
        self.victims: list[int] = []

    @classmethod
    async def of(cls, server: ScratchServer) -> Pair:
        named = {"server_settings": {"application_name": "till"}}
        return cls(*[await connect(server, "app", **named) for _ in range(2)])

    async def collide(self, number: int = 1, *, roll_back: bool = True) -> int:
        """The pid of the loser."""
        one, other = self.sessions
        for session, table in ((one, "orders"), (other, "stock")):
            await session.execute(f"begin; update {table} set n = n + 1 where id = {number}")
        results = await asyncio.gather(
            one.execute(f"update stock set n = n + 1 where id = {number}"),
            other.execute(f"update orders set n = n + 1 where id = {number}"),
            return_exceptions=True,
        )
        lost = [isinstance(result, asyncpg.DeadlockDetectedError) for result in results]
        assert sorted(lost) == [False, True]
        for session, failed in zip(self.sessions, lost, strict=True):
            if roll_back or not failed:
                await session.execute("rollback")
        pid = int(self.sessions[lost.index(True)].get_server_pid())
        self.victims.append(pid)
        return pid

    def close(self) -> None:
        for session in self.sessions:
            session.terminate()


async def until(
    engine: Engine, enough: Callable[[DeadlockHistory], bool], seconds: float = 25
) -> DeadlockHistory:
    async with asyncio.timeout(seconds):
        while not enough(history := await engine.deadlocks()):
            await asyncio.sleep(0.2)
    return history


def knows(number: int) -> Callable[[DeadlockHistory], bool]:
    return lambda history: len(history.deadlocks) == number


def losers(history: DeadlockHistory) -> list[int]:
    """The oldest first."""
    return [one.victim.session if one.victim else 0 for one in reversed(history.deadlocks)]


@pytest.mark.parametrize("form", FORMS)
async def test_a_hundred_deadlocks_are_told_once_each_with_their_losers(
    logging: ScratchServer, form: str
) -> None:
    await prepare(logging, *GRANTS, f"alter system set log_destination = '{form}'", "select pg_reload_conf()")
    pair = await Pair.of(logging)
    async with open_engine(target(logging)) as engine:
        before = await engine.deadlocks()
        assert before.deadlocks == ()
        for number in range(100):
            await pair.collide(number % 50 + 1)
            if number % 7 == 0:
                await engine.deadlocks()
        history = await until(engine, lambda one: len(one.deadlocks) >= 100 and (one.counted or 0) >= 100)
        await asyncio.sleep(0.3)
        history = await engine.deadlocks()
    pair.close()
    assert losers(history) == pair.victims
    assert len({one.ident for one in history.deadlocks}) == 100
    assert (history.counted, history.missed, history.notes) == (100, 0, ())
    assert set(history.counts.values()) <= {100}  # one code path, whoever loses
    check_one(history.deadlocks[0], form)


def check_one(one: Deadlock, form: str) -> None:
    victim, other = one.participants
    assert abs((datetime.now(UTC) - one.at).total_seconds()) < 120
    assert victim.victim
    assert not other.victim
    assert (victim.user, victim.database, victim.application) == ("app", "postgres", "till")
    assert victim.client == (None if form == "stderr" else "local")
    assert other.user is None
    assert {victim.statement, other.statement} == {
        "update stock set n = n + 1 where id = 50",
        "update orders set n = n + 1 where id = 50",
    }
    assert victim.wants is not None
    assert other.wants is not None
    assert victim.wants.mode == other.wants.mode == "ShareLock"
    assert victim.wants.object.startswith("transaction ")
    assert victim.wants.place in {f"row (0,50) of {table}" for table in ("orders", "stock")} | {
        victim.wants.place
    }
    assert victim.wants.place.startswith("row (")
    assert [ref.object for ref in victim.holds] == [other.wants.object]
    assert [ref.object for ref in other.holds] == [victim.wants.object]


async def test_the_first_look_finds_what_happened_before(logging: ScratchServer) -> None:
    await prepare(logging, *GRANTS)
    pair = await Pair.of(logging)
    for _ in range(3):
        await pair.collide()
    pair.close()
    await asyncio.sleep(0.3)
    async with open_engine(target(logging)) as engine:
        history = await engine.deadlocks()
    assert losers(history) == pair.victims


async def test_a_deadlock_is_told_though_the_counter_does_not_move_yet(logging: ScratchServer) -> None:
    """A loser that stays in its failed transaction has not passed its statistics on."""
    await prepare(logging, *GRANTS)
    pair = await Pair.of(logging)
    async with open_engine(target(logging)) as engine:
        await engine.deadlocks()
        await asyncio.sleep(16)  # the first looks are over
        assert (await engine.deadlocks()).deadlocks == ()
        await pair.collide(roll_back=False)
        history = await until(engine, lambda one: bool(one.deadlocks), seconds=15)
        assert history.counted in (0, 1)
        assert history.missed == 0
    pair.close()


async def test_a_deadlock_is_told_though_the_log_comes_after_the_counter(
    logging18: ScratchServer, tmp_path: Path
) -> None:
    """Here the log arrives seconds late, as from a log shipper."""
    await prepare(logging18)
    late = tmp_path / "shipped.json"
    late.write_text("")
    pair = await Pair.of(logging18)
    async with open_engine(target(logging18, str(late))) as engine:
        await engine.deadlocks()
        await pair.collide()
        await until(engine, lambda one: one.counted == 1)
        assert (await engine.deadlocks()).deadlocks == ()
        await asyncio.sleep(5.5)
        assert (await engine.deadlocks()).missed == 1
        newest = max((logging18.data / "log").glob("*.json"))
        late.write_bytes(newest.read_bytes())
        history = await until(engine, lambda one: bool(one.deadlocks) and not one.missed)
        assert losers(history) == pair.victims
    pair.close()


@pytest.mark.parametrize("form", FORMS)
async def test_rotation_is_followed(logging18: ScratchServer, form: str) -> None:
    await prepare(
        logging18,
        *GRANTS,
        f"alter system set log_destination = '{form}'",
        "alter system set log_filename = 'postgresql-%H%M%S.log'",
        "select pg_reload_conf()",
    )
    admin, pair = await connect(logging18), await Pair.of(logging18)
    async with open_engine(target(logging18)) as engine:
        await engine.deadlocks()
        for number in range(6):
            await pair.collide()
            await asyncio.sleep(1.1)
            await admin.execute("select pg_rotate_logfile()")
            await asyncio.sleep(0.2)
            await pair.collide()
            if number % 2:
                await engine.deadlocks()
        history = await until(engine, lambda one: len(one.deadlocks) >= 12)
    await admin.close()
    pair.close()
    assert losers(history) == pair.victims
    assert len(history.deadlocks) == 12


async def test_a_copied_and_emptied_local_file_is_followed(logging18: ScratchServer, tmp_path: Path) -> None:
    """What logrotate's copytruncate and its rename do, in the text format of a server's own stderr."""
    await prepare(logging18)
    source = max((logging18.data / "log").glob("*.log"))
    log, pair = tmp_path / "postgresql.log", await Pair.of(logging18)
    shipped = 0

    async def ship() -> None:
        nonlocal shipped
        await asyncio.sleep(0.3)
        data = source.read_bytes()
        with log.open("ab") as file:
            file.write(data[shipped:])
        shipped = len(data)

    async with open_engine(target(logging18, str(log))) as engine:
        log.write_text("2026-01-01 00:00:00.000 UTC [1] LOG:  begun\n")
        await engine.deadlocks()
        for step in range(4):
            await pair.collide()
            await ship()
            if step == 1:
                (tmp_path / "postgresql.log.1").write_bytes(log.read_bytes())
                log.write_text("")
            if step == 2:
                log.rename(tmp_path / "postgresql.log.2")
                log.write_text("2026-01-01 00:00:01.000 UTC [1] LOG:  begun again\n")
            await until(engine, knows(step + 1))
        history = await engine.deadlocks()
    pair.close()
    assert losers(history) == pair.victims


async def test_without_rights_the_counter_stays_and_the_grants_are_exact(logging: ScratchServer) -> None:
    await prepare(logging)
    pair = await Pair.of(logging)
    admin = await connect(logging)
    async with open_engine(target(logging)) as engine:
        first = await engine.deadlocks()
        await pair.collide()
        history = await until(engine, lambda one: one.counted == 1)
        assert history.deadlocks == ()
        (note,) = first.notes
        assert "in the database postgres" in note
        assert ("pg_current_logfile" in note) is (logging.version < 17)
        assert "log:" in note
        for grant in note.split("run ")[1].split("; (")[0].split("; "):
            await admin.execute(grant)
        history = await until(engine, lambda one: bool(one.deadlocks))
        assert history.notes == ()
        assert losers(history) == pair.victims
    await admin.close()
    pair.close()


async def test_a_dead_server_is_an_error_and_no_old_answer(logging18: ScratchServer) -> None:
    await prepare(logging18, *GRANTS)
    async with open_engine(target(logging18)) as engine:
        await engine.deadlocks()
        await stop(logging18, "immediate")
        for _ in range(2):
            with pytest.raises(Unreachable):
                await engine.deadlocks()
        await start(logging18)
        assert (await engine.deadlocks()).counted == 0


async def test_a_locked_catalog_leaves_only_the_counter_unknown(logging18: ScratchServer) -> None:
    await prepare(logging18, *GRANTS)
    admin, pair = await connect(logging18), await Pair.of(logging18)
    async with open_engine(target(logging18)) as engine:
        await engine.deadlocks()
        await admin.execute("begin; lock table pg_database in access exclusive mode")
        await pair.collide()
        history = await until(engine, lambda one: bool(one.deadlocks))
        assert history.counted is None
        assert "the deadlock counter is unknown" in history.notes[0]
    await admin.close()
    pair.close()


async def test_a_server_without_log_files_says_what_to_set(logging18: ScratchServer) -> None:
    await prepare(
        logging18, *GRANTS, "alter system set log_destination = 'syslog'", "select pg_reload_conf()"
    )
    await asyncio.sleep(0.5)
    async with open_engine(target(logging18)) as engine:
        history = await engine.deadlocks()
    assert history.counted == 0
    assert "logging_collector" in history.notes[0]


async def test_the_file_of_the_target_is_read_where_sql_may_not(logging: ScratchServer) -> None:
    await prepare(logging)
    pair = await Pair.of(logging)
    await pair.collide()
    await asyncio.sleep(0.3)
    for suffix in (".log", ".csv", ".json"):
        path = max((logging.data / "log").glob(f"*{suffix}"))
        async with open_engine(target(logging, str(path))) as engine:
            assert losers(await engine.deadlocks()) == pair.victims
    async with open_engine(target(logging, str(logging.data / "log"))) as engine:
        assert losers(await engine.deadlocks()) == pair.victims
    async with open_engine(target(logging, "/nowhere/postgresql.log")) as engine:
        history = await engine.deadlocks()
        assert "/nowhere/postgresql.log" in history.notes[0]
    pair.close()


async def test_relations_advisory_keys_and_three_in_a_ring(logging: ScratchServer) -> None:
    await prepare(logging, *GRANTS)
    ring = [await connect(logging, "app") for _ in range(3)]
    keys = ("-42", "7, -8", "9")
    for session, key in zip(ring, keys, strict=True):
        await session.execute(f"begin; select pg_advisory_xact_lock({key})")
    waiting = [
        asyncio.create_task(
            session.execute(f"select pg_advisory_xact_lock({keys[(place + 1) % 3]})\n-- é 'x'")
        )
        for place, session in enumerate(ring)
    ]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
    loser = next(place for place, task in enumerate(waiting) if task in done and task.exception())
    pids = [session.get_server_pid() for session in ring]
    async with open_engine(target(logging)) as engine:
        one = (await until(engine, lambda history: bool(history.deadlocks))).deadlocks[0]
        assert [each.session for each in one.participants] == [*pids[loser:], *pids[:loser]]
        wanted = [each.wants.object if each.wants else "" for each in one.participants]
        shown = ["advisory lock -42", "advisory lock (7, -8)", "advisory lock 9"]
        assert wanted == [shown[(loser + place + 1) % 3] for place in range(3)]
        assert all((each.statement or "").endswith("\n-- é 'x'") for each in one.participants)
        for session in ring:
            session.terminate()
        await asyncio.gather(*waiting, return_exceptions=True)
        left, right = [await connect(logging, "app") for _ in range(2)]
        for session, table in ((left, "orders"), (right, "stock")):
            await session.execute(f"begin; lock table {table}")
        waits = [left.execute("lock table stock"), right.execute("lock table orders in share mode")]
        await asyncio.gather(*waits, return_exceptions=True)
        latest = (await until(engine, lambda history: len(history.deadlocks) == 2)).deadlocks[0]
        assert {each.wants.object for each in latest.participants if each.wants} == {
            "public.orders",
            "public.stock",
        }
        left.terminate()
        right.terminate()


async def test_those_of_another_server_behind_the_same_address_are_not_told(
    request: pytest.FixtureRequest,
) -> None:
    if "pg18" not in str(request.config.getoption("--servers")):
        pytest.skip("pg18 is not among --servers")
    options: dict[str, Any] = {
        "binaries": places.postgres_binaries("pg18"),
        "settings": SETTINGS,
        "hba": (*LOCAL_TRUST, "host all all 127.0.0.0/8 trust"),
        "listen": "127.0.0.1",
    }
    async with (
        scratch_postgres(**options) as one,
        scratch_postgres(**options) as other,
        tcp_proxy("127.0.0.1", one.port) as proxy,
    ):
        for server in (one, other):
            await prepare(server, *GRANTS)
        pair = await Pair.of(one)
        near = msgspec.structs.replace(target(one), host=proxy.host, port=proxy.port, tls=TlsMode.OFF)
        async with open_engine(near) as engine:
            await engine.deadlocks()
            await pair.collide()
            await until(engine, knows(1))
            proxy.target = ("127.0.0.1", other.port)
            proxy.kill()
            with contextlib.suppress(Unreachable):
                await engine.deadlocks()
            assert (await engine.deadlocks()).deadlocks == ()
            assert (await engine.deadlocks()).missed == 0
        pair.close()
