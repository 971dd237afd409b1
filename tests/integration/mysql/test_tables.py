"""Tables of a real server: what is told of them, what nobody may be told, and that nothing waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from console.engine.mysql import table_rows
from console.engine.mysql.engine import MysqlEngine
from console.errors import PrivilegeMissing
from console.model.tables import Table, TableKind, TableOrder, TableQuery, Tables
from console.model.target import Login
from tests.integration.mysql.conftest import Client, Crowd, a_target, until

T = TypeVar("T")
# What the server remarks on, of the tests' own statements, is nobody's business.
pytestmark = pytest.mark.filterwarnings("ignore::pymysql.err.Warning")
HOSTILE = (
    "we`ird",
    "quo\"te's",
    "new\nline",
    "tabel\u00e9 \U00002603",
    "x" * 64,
    "select",
    "dotted.name.",
    "per%cent_under|bar",
    "a@002db#P#p0",
    "b#p#p0",
    "back\\slash",
    " leading",
    "sla/sh",
)
HALF_A_KILOBYTE = "repeat('x', 500)"


async def within(seconds: float, answer: Awaitable[T]) -> T:
    """The answer, if it came in time. A first look may find cold caches; these are warm."""
    began = time.monotonic()
    found = await answer
    assert time.monotonic() - began < seconds
    return found


async def all_of(engine: MysqlEngine, crowd: Crowd) -> dict[str, Table]:
    found = await engine.tables(TableQuery(schema=crowd.database, order=TableOrder.NAME))
    return {one.name: one for one in found.tables}


async def one_of(engine: MysqlEngine, crowd: Crowd, name: str) -> Table:
    found = await engine.tables(TableQuery(names=((crowd.database, name),)))
    assert [one.name for one in found.tables] == [name]
    return found.tables[0]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


async def fill(client: Client, table: str, doublings: int) -> None:
    """A table of (id int auto_increment, body text) with 2 ** doublings rows of half a kilobyte."""
    await client.ask(
        f"create table {table} (id int auto_increment primary key, body text)",
        f"insert into {table} (body) values ({HALF_A_KILOBYTE})",
        *[f"insert into {table} (body) select {HALF_A_KILOBYTE} from {table}"] * doublings,
    )


async def test_sizes_rows_and_dates(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    began = datetime.now(UTC).replace(microsecond=0)
    await fill(root, f"{crowd.database}.big", 12)
    await root.ask(
        f"create index body on {crowd.database}.big (body(50))", f"analyze table {crowd.database}.big"
    )
    big = await one_of(engine, crowd, "big")
    assert big.storage == "InnoDB"
    assert big.kind is TableKind.TABLE
    assert big.bytes is not None
    assert 2 << 20 < big.bytes < 4 << 20
    assert big.index_bytes is not None
    assert 100 << 10 < big.index_bytes < 1 << 20
    assert big.free_bytes is not None
    assert big.rows is not None
    assert 3500 < big.rows < 4700
    assert big.created_at is not None
    assert (big.created_at - began).total_seconds() >= 0
    assert big.analyzed_at is not None
    assert big.analyzed_at >= began
    assert not big.stale_statistics
    assert big.why == ""
    assert big.filenode


async def test_another_filenode_tells_that_a_table_was_rebuilt(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    before = await one_of(engine, crowd, "orders")
    await root.ask(f"alter table {crowd.table} force")
    after = await one_of(engine, crowd, "orders")
    assert before.filenode is not None
    assert after.filenode is not None
    assert after.filenode > before.filenode


async def test_free_space_and_what_gives_it_back(
    crowd: Crowd, engine: MysqlEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_rows, "MUCH_FREE", 4 << 20)
    root = await crowd.root()
    await fill(root, f"{crowd.database}.big", 14)
    await root.ask(f"delete from {crowd.database}.big where id > 100")

    async def is_free() -> bool:
        return ((await one_of(engine, crowd, "big")).free_bytes or 0) > 6 << 20

    await until(is_free, 30)
    await root.ask(f"analyze table {crowd.database}.big")
    big = await one_of(engine, crowd, "big")
    assert f"table.optimize table={crowd.database}.big" in big.why
    await root.ask(f"optimize table {crowd.database}.big")
    assert (await one_of(engine, crowd, "big")).why == ""


async def test_stale_statistics(crowd: Crowd, engine: MysqlEngine) -> None:
    """Collected when the table was empty, and not again: the automatic collection is off."""
    root = await crowd.root()
    await root.ask(
        f"create table {crowd.database}.grown (id int auto_increment primary key, a int) "
        "stats_auto_recalc = 0",
        f"analyze table {crowd.database}.grown",
        f"insert into {crowd.database}.grown (a) values (1), (2)",
        *[f"insert into {crowd.database}.grown (a) select a from {crowd.database}.grown"] * 11,
    )
    grown = await one_of(engine, crowd, "grown")
    assert grown.stale_statistics
    assert f"table.analyze table={crowd.database}.grown" in grown.why
    await root.ask(f"analyze table {crowd.database}.grown")
    assert not (await one_of(engine, crowd, "grown")).stale_statistics


async def test_no_persistent_statistics_and_other_storage_engines(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    await root.ask(
        f"create table {crowd.database}.unkept (id int primary key) stats_persistent = 0",
        f"create table {crowd.database}.old (id int primary key) engine = MyISAM",
        f"insert into {crowd.database}.old values (1)",
    )
    found = await all_of(engine, crowd)
    assert "persistent statistics are off" in found["unkept"].why
    assert found["unkept"].analyzed_at is None
    assert found["unkept"].settings["stats_persistent"] == "0"
    assert found["old"].storage == "MyISAM"
    assert "crash" in found["old"].why
    assert found["old"].rows == 1
    assert found["old"].bytes


async def test_partitions_are_folded(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    await root.ask(
        f"create table {crowd.database}.parts (id int primary key, a int) "
        "partition by hash (id) partitions 3",
        f"insert into {crowd.database}.parts values (1, 1), (2, 2), (3, 3), (4, 4)",
        f"analyze table {crowd.database}.parts",
    )
    parts = await one_of(engine, crowd, "parts")
    assert parts.kind is TableKind.PARTITIONED
    assert parts.partitions == 3
    assert parts.rows == 4
    assert parts.bytes == 3 * 16384
    assert parts.analyzed_at is not None
    assert set(await all_of(engine, crowd)) == {"orders", "parts"}


async def test_a_shared_tablespace_has_free_space_of_no_single_table(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    root = await crowd.root()
    await root.ask("set global innodb_file_per_table = OFF")
    try:
        await root.ask(f"create table {crowd.database}.inside (id int primary key)")
    finally:
        await root.ask("set global innodb_file_per_table = ON")
    found = await engine.tables(TableQuery(schema=crowd.database))
    inside = {one.name: one for one in found.tables}["inside"]
    assert inside.bytes == 16384
    assert inside.free_bytes is None
    assert any("shared tablespace" in note for note in found.notes)


# ---- numbers that run out ------------------------------------------------------------------------

LIMITS = {
    "tinyint": 127,
    "tinyint unsigned": 255,
    "smallint": 32767,
    "smallint unsigned": 65535,
    "mediumint unsigned": 16777215,
    "int": 2147483647,
    "int unsigned": 4294967295,
    "bigint": 9223372036854775807,
    "bigint unsigned": 18446744073709551615,
}


@pytest.mark.parametrize("kind", LIMITS)
async def test_automatic_numbers_run_out(crowd: Crowd, engine: MysqlEngine, kind: str) -> None:
    root = await crowd.root()
    limit = LIMITS[kind]
    await root.ask(
        f"create table {crowd.database}.numbered (n {kind} auto_increment primary key, a int)",
        f"insert into {crowd.database}.numbered values ({limit - 10}, 1)",
    )
    numbered = await one_of(engine, crowd, "numbered")
    assert numbered.exhaustion is not None
    assert (numbered.exhaustion.column, numbered.exhaustion.limit) == ("n", limit)
    assert numbered.exhaustion.last == limit - 10
    assert numbered.exhaustion.used > 0.9
    assert "INSERT fails" in numbered.why


async def test_used_up_numbers_come_first(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    await fill(root, f"{crowd.database}.big", 12)
    await root.ask(
        f"create table {crowd.database}.small (n tinyint unsigned auto_increment primary key)",
        f"insert into {crowd.database}.small values (255)",
    )
    await asyncio.sleep(0.5)  # what is known of all tables is kept for a little while
    by_need = await engine.tables(TableQuery(schema=crowd.database))
    by_size = await engine.tables(TableQuery(schema=crowd.database, order=TableOrder.SIZE))
    assert [one.name for one in by_need.tables] == ["small", "big", "orders"]
    assert by_size.tables[0].name == "big"
    assert by_need.tables[0].exhaustion is not None
    assert by_need.tables[0].exhaustion.used == 1.0
    assert "numbers" in by_need.order


async def test_sequences_of_mariadb(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor != "mariadb":
        pytest.skip("MySQL has no sequences")
    root, name = await crowd.root(), "od`d s"
    place = f"{crowd.database}.{quoted(name)}"
    await root.ask(
        f"create sequence {place} maxvalue 1000 nocache",
        f"create table {crowd.database}.fed "
        f"(id tinyint unsigned default (nextval({place})) primary key, a int)",
        *[f"insert into {crowd.database}.fed (a) values (1)"] * 200,
    )
    unread = await engine.tables(TableQuery(schema=crowd.database))
    assert any(f"GRANT SELECT ON {quoted(crowd.database)}.{quoted(name)}" in note for note in unread.notes)
    assert {one.name: one.exhaustion for one in unread.tables} == {"orders": None, "fed": None, name: None}
    await root.ask(f"grant select on {place} to dbdeck_monitor@'%'")
    found = await all_of(engine, crowd)
    fed, own = found["fed"].exhaustion, found[name].exhaustion
    assert found[name].storage == "SEQUENCE"
    assert own is not None
    assert (own.last, own.limit) == (200, 1000)
    assert fed is not None
    assert (fed.column, fed.last, fed.limit) == ("id", 200, 255)
    assert fed.sequence == f"{crowd.database}.{name}"


# ---- which tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name(crowd: Crowd, engine: MysqlEngine, name: str) -> None:
    root = await crowd.root()
    place = f"{crowd.database}.{quoted(name)}"
    await root.ask(
        f"create table {place} (id tinyint unsigned auto_increment primary key)",
        f"insert into {place} values (250)",
        f"analyze table {place}",
    )
    found = await one_of(engine, crowd, name)
    assert found.key == f"{crowd.database}.{name}"
    assert found.bytes == 16384
    assert found.free_bytes is not None  # its file was found
    assert found.analyzed_at is not None
    assert found.exhaustion is not None
    assert found.exhaustion.last == 250
    holder = await crowd.join()
    await holder.ask("begin", f"select * from {place}")
    assert [one.session.id for one in await engine.table_locks([(crowd.database, name)])] == [holder.id]
    assert (await engine.disk(crowd.database, name)).place
    notes = (await engine.tables(TableQuery(limit=1))).notes
    assert not any("hidden" in note for note in notes)


async def test_names_that_differ_by_the_case_of_a_letter(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    for name, last in (("Kase", 100), ("kase", 200)):
        await root.ask(
            f"create table {crowd.database}.{name} (a int, id tinyint unsigned auto_increment primary key)",
            f"insert into {crowd.database}.{name} values (1, {last})",
            f"create index {name} on {crowd.database}.{name} (a, id)",
        )
    for name, last in (("Kase", 100), ("kase", 200)):
        found = await one_of(engine, crowd, name)
        assert found.exhaustion is not None
        assert found.exhaustion.last == last
        indexes = await engine.indexes(TableQuery(names=((crowd.database, name),)))
        assert {one.definition for one in indexes} == {"PRIMARY KEY (`id`)", f"KEY `{name}` (`a`, `id`)"}
    holder = await crowd.join()
    await holder.ask("begin", "select * from Kase")
    assert len(await engine.table_locks([(crowd.database, "Kase")])) == 1
    assert await engine.table_locks([(crowd.database, "kase")]) == ()


async def test_pages_patterns_and_their_order(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    for name in ("a_1", "a_2", "ab1", "b%", "B2"):
        await root.ask(f"create table {crowd.database}.{quoted(name)} (id int primary key)")

    async def names(**wanted: object) -> tuple[list[str], int]:
        query = TableQuery(schema=crowd.database, order=TableOrder.NAME, **wanted)  # type: ignore[arg-type]
        found = await engine.tables(query)
        return [one.name for one in found.tables], found.total

    async def sorted_names(pattern: str) -> list[str]:
        return sorted((await names(pattern=pattern))[0])

    assert (await names())[1] == 6
    assert await names(limit=2, offset=1) == ((await names())[0][1:3], 6)  # in the order of its collation
    assert await names(limit=2, offset=100) == ([], 6)
    assert await sorted_names("a_?") == ["a_1", "a_2"]
    assert await names(pattern="b%") == (["b%"], 1)
    assert await sorted_names(f"{crowd.database}.a*") == ["a_1", "a_2", "ab1"]
    assert await names(pattern="*.nothing") == ([], 0)


async def test_system_tables_only_when_asked_for(engine: MysqlEngine) -> None:
    usual = await engine.tables(TableQuery(pattern="innodb_table_stats"))
    asked = await engine.tables(TableQuery(pattern="innodb_table_stats", system=True))
    assert usual.tables == ()
    assert [one.key for one in asked.tables] == ["mysql.innodb_table_stats"]


# ---- what may not be seen, and what nobody waits for ---------------------------------------------


async def bare(crowd: Crowd, *grants: str) -> MysqlEngine:
    root = await crowd.root()
    await root.ask("drop user if exists bare@'%'", "create user bare@'%' identified by 'monitor-pw'")
    for one in grants:
        await root.ask(f"grant {one} to bare@'%'")
    login = Login(user="bare", password="env:DBDECK_TEST_MONITOR")
    return MysqlEngine(a_target(crowd.server, monitor={"user": login.user, "password": login.password}))


async def test_hidden_tables_are_unknown_and_not_none(crowd: Crowd) -> None:
    blind = await bare(crowd, "process on *.*", "select on performance_schema.*")
    with pytest.raises(PrivilegeMissing) as missing:
        await blind.tables(TableQuery())
    await blind.close()
    assert "hidden" in missing.value.message
    assert missing.value.hint == "GRANT REFERENCES ON *.* TO 'bare'@'%';"


async def test_some_hidden_tables_are_told_with_the_grant(crowd: Crowd) -> None:
    root = await crowd.root()
    await root.ask(f"create table {crowd.database}.hidden (id int primary key)")
    partly = await bare(
        crowd, "process on *.*", "select on performance_schema.*", f"references on {crowd.table}"
    )
    found = await partly.tables(TableQuery(schema=crowd.database))
    await partly.close()
    assert [one.name for one in found.tables] == ["orders"]
    assert any("GRANT REFERENCES ON *.* TO 'bare'@'%';" in note for note in found.notes)
    assert any("GRANT SELECT ON mysql.innodb_table_stats TO 'bare'@'%';" in note for note in found.notes)
    assert found.tables[0].analyzed_at is None


async def test_without_process_nothing_is_shown(crowd: Crowd) -> None:
    blind = await bare(crowd, "references on *.*", "select on performance_schema.*")
    with pytest.raises(PrivilegeMissing) as missing:
        await blind.tables(TableQuery())
    await blind.close()
    assert missing.value.hint == "GRANT PROCESS ON *.* TO 'bare'@'%';"


async def test_doctor_tells_what_maintenance_cannot_see(crowd: Crowd, engine: MysqlEngine) -> None:
    names = ("tables and indexes", "table statistics", "index sizes")
    able = {one.name: one for one in await engine.checks()}
    assert [able[name].ok for name in names] == [True, True, True]
    blind = await bare(crowd, "process on *.*", "select on performance_schema.*")
    found = {one.name: one for one in await blind.checks()}
    await blind.close()
    assert [(found[name].ok, found[name].hint) for name in names] == [
        (None, "GRANT REFERENCES ON *.* TO 'bare'@'%';"),
        (None, "GRANT SELECT ON mysql.innodb_table_stats TO 'bare'@'%';"),
        (None, "GRANT SELECT ON mysql.innodb_index_stats TO 'bare'@'%';"),
    ]


async def lock_tables(crowd: Crowd) -> None:
    await (await crowd.root()).ask(f"lock tables {crowd.table} write")


async def waiting_alter(crowd: Crowd) -> None:
    reader, changer = await crowd.join(), await crowd.root()
    await reader.ask("begin", "select * from orders")
    changer.start(f"alter table {crowd.table} add column more int")
    await asyncio.sleep(0.5)


async def exclusive_lock(crowd: Crowd) -> None:
    """A DROP of two tables holds its lock on the first while it waits for the second."""
    reader, dropper = await crowd.join(), await crowd.root()
    await dropper.ask(f"create table {crowd.database}.read_now (id int)")
    await reader.ask("begin", "select * from read_now")
    dropper.start(f"drop table {crowd.table}, {crowd.database}.read_now")
    await asyncio.sleep(0.5)


async def global_read_lock(crowd: Crowd) -> None:
    await (await crowd.root()).ask("flush tables with read lock")


HOLDS = (lock_tables, waiting_alter, exclusive_lock, global_read_lock)


@pytest.mark.parametrize("hold", HOLDS)
async def test_it_answers_while_tables_are_locked(crowd: Crowd, engine: MysqlEngine, hold: object) -> None:
    await engine.tables(TableQuery())
    await hold(crowd)  # type: ignore[operator]
    found: Tables = await within(1.0, engine.tables(TableQuery(schema=crowd.database)))
    orders = {one.name: one for one in found.tables}["orders"]
    if hold is exclusive_lock:
        assert orders.rows is None
        assert "exclusive lock" in orders.why
        assert orders.bytes
    else:
        assert orders.rows is not None
    again = await within(1.0, engine.tables(TableQuery(names=((crowd.database, "orders"),))))
    assert [one.name for one in again.tables] == ["orders"]
    report = await within(1.0, engine.progress())
    assert [one.command for one in report.work] == {
        waiting_alter: ["ALTER TABLE"],
        exclusive_lock: ["DROP TABLE"],
    }.get(hold, [])  # type: ignore[call-overload]


@pytest.mark.parametrize("hold", HOLDS)
async def test_columns_and_names_are_told_while_tables_are_locked(
    crowd: Crowd, engine: MysqlEngine, hold: object
) -> None:
    """MariaDB tells no columns of a table that it cannot open."""
    await engine.identity()
    await hold(crowd)  # type: ignore[operator]
    site = await within(1.0, engine.index_site(crowd.database, "orders"))
    found = await within(1.0, engine.relations(crowd.database, "orders"))
    assert [one.kind for one in found] == ["table"]
    assert bool(site.columns) is not (hold is exclusive_lock and crowd.server.flavor == "mariadb")


async def test_it_gives_up_on_what_it_could_not_know_to_be_locked(crowd: Crowd) -> None:
    """Without performance_schema MySQL does not tell which tables are locked; MariaDB need not be asked."""
    partly = await bare(crowd, "process, references on *.*")
    await exclusive_lock(crowd)
    found = await within(2.5, partly.tables(TableQuery(schema=crowd.database)))
    await partly.close()
    orders = {one.name: one for one in found.tables}["orders"]
    assert orders.rows is None
    assert orders.bytes
    assert orders.why
    if crowd.server.flavor == "mysql":
        assert any("could not be read in time" in note for note in found.notes)


async def test_why_purge_does_not_keep_up(
    crowd: Crowd, engine: MysqlEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_rows, "LONG_HISTORY", 20)
    holder, writer = await crowd.join(), await crowd.join()
    await holder.ask(
        "set session transaction isolation level repeatable read", "start transaction", "select * from orders"
    )
    for _ in range(40):
        await writer.ask("update orders set state = state + 1 where id = 1")
    found = await engine.tables(TableQuery(schema=crowd.database))
    assert "history list length" in found.why
    assert f"session {holder.id}" in found.why
