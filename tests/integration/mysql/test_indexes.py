"""Indexes of a real server, and everything that can be wrong with them, made for real."""

from __future__ import annotations

import pytest

from console.engine.mysql import indexes as reads
from console.engine.mysql.engine import MysqlEngine
from console.engine.mysql.indexes import READS_COUNTED
from console.errors import PrivilegeMissing
from console.model.indexes import Finding, IndexFinding, Severity
from console.model.tables import TableQuery
from tests.integration.mysql.conftest import Crowd
from tests.integration.mysql.test_tables import HOLDS, HOSTILE, bare, quoted, within

pytestmark = pytest.mark.filterwarnings("ignore::pymysql.err.Warning")
NOT_COUNTED = READS_COUNTED.replace("'YES'", "'NO'")
Told = dict[tuple[Finding, str], IndexFinding]


async def told(engine: MysqlEngine, crowd: Crowd, table: str) -> Told:
    """Findings of one table, by what and index."""
    found = (await engine.index_health()).findings
    return {
        (one.finding, one.name): one for one in found if (one.schema, one.table) == (crowd.database, table)
    }


async def make(crowd: Crowd, definition: str, name: str = "t", more: str = "") -> None:
    await (await crowd.root()).ask(f"create table {crowd.database}.{quoted(name)} ({definition}) {more}")


async def test_duplicates_and_what_leads_another(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(
        crowd,
        "id int primary key, a int, b int, c varchar(50), unique u (b, c), key a (a), key a_again (a), "
        "key a_b (a, b), key a_id (a, id), key c10 (c(10)), key c20 (c(20)), key b (b), key own (id), "
        "key b_c (b, c), key c_b (c, b)",
    )
    found = await told(engine, crowd, "t")
    assert {what: one.with_ for what, one in found.items()} == {
        (Finding.DUPLICATE, "a_again"): "a",
        (Finding.DUPLICATE, "a_id"): "a",
        (Finding.REDUNDANT, "a"): "a_b",
        (Finding.REDUNDANT, "b"): "u",
        (Finding.DUPLICATE, "b_c"): "u",
        (Finding.REDUNDANT, "c10"): "c_b",
        (Finding.REDUNDANT, "c20"): "c_b",
        (Finding.DUPLICATE, "own"): "PRIMARY",
    }
    again = found[Finding.DUPLICATE, "a_again"]
    assert again.severity is Severity.WARN
    assert again.remedy == f"ALTER TABLE `{crowd.database}`.`t` DROP INDEX `a_again`"
    assert again.bytes == 16384
    assert "primary key" in found[Finding.DUPLICATE, "a_id"].why
    root = await crowd.root()
    for one in found.values():  # what it says can be run
        await root.ask(one.remedy)
    assert await told(engine, crowd, "t") == {}


async def test_what_looks_alike_and_is_not(crowd: Crowd, engine: MysqlEngine) -> None:
    descending = "key a_desc (a desc), " if crowd.server.flavor == "mysql" else ""
    await make(
        crowd,
        "id int primary key, a int, b int, c text, d varchar(50), unique a_u (a), unique a_b (a, b), "
        f"{descending}key b (b), key d (d), key d10_b (d(10), b), "
        "fulltext c (c), fulltext c_d (c, d), key c_part (c(5))",
    )
    assert await told(engine, crowd, "t") == {}


async def test_unique_ones_that_guard_the_same(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "id int primary key, a int, unique a (a), unique a_2 (a), unique own (id)")
    found = await told(engine, crowd, "t")
    assert {what: one.with_ for what, one in found.items()} == {
        (Finding.DUPLICATE, "a_2"): "a",
        (Finding.DUPLICATE, "own"): "PRIMARY",
    }


async def test_functional_parts(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor == "mariadb":
        pytest.skip("MariaDB has no functional key parts")
    await make(crowd, "id int primary key, a int, key f ((a + 1)), key g ((a + 1)), key h ((a + 2))")
    found = await told(engine, crowd, "t")
    assert {what: one.with_ for what, one in found.items()} == {(Finding.DUPLICATE, "g"): "f"}
    assert "+" in found[Finding.DUPLICATE, "g"].definition


async def test_an_index_that_nobody_may_use_covers_nothing(crowd: Crowd, engine: MysqlEngine) -> None:
    hidden, shown = (
        ("ignored", "not ignored") if crowd.server.flavor == "mariadb" else ("invisible", "visible")
    )
    await make(crowd, f"id int primary key, a int, b int, key a (a), key a_b (a, b) {hidden}")
    found = await told(engine, crowd, "t")
    assert set(found) == {(Finding.INVISIBLE, "a_b")}
    remedy = found[Finding.INVISIBLE, "a_b"].remedy
    assert remedy.lower().endswith(f"alter index `a_b` {shown}")
    await (await crowd.root()).ask(remedy.partition("; or ")[2])
    assert set(await told(engine, crowd, "t")) == {(Finding.REDUNDANT, "a")}


async def test_disabled_keys(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "id int primary key, a int, key a (a)", more="engine = MyISAM")
    root = await crowd.root()
    await root.ask(f"alter table {crowd.database}.t disable keys")
    found = await told(engine, crowd, "t")
    assert set(found) == {(Finding.INVALID, "a"), (Finding.NOT_INNODB, "")}
    assert [one.state for one in await engine.indexes(TableQuery(), ((crowd.database, "a"),))] == ["invalid"]
    await root.ask(found[Finding.INVALID, "a"].remedy)
    assert set(await told(engine, crowd, "t")) == {(Finding.NOT_INNODB, "")}


async def test_indexes_that_nobody_reads(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "id int primary key, a int, b int, c int, unique u (c), key a (a), key b (b)")
    await make(crowd, "id int primary key, a int, key a (a)", "never_read")
    client = await crowd.join()
    await client.ask(
        "insert into t values (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)",
        "select * from t force index (a) where a = 2",
    )
    found = await told(engine, crowd, "t")
    assert set(found) == {(Finding.UNUSED, "b")}
    unused = found[Finding.UNUSED, "b"]
    assert unused.scans == 0
    assert unused.since == (await engine.identity()).started_at
    assert unused.severity is Severity.INFO  # the server has just started
    assert await told(engine, crowd, "never_read") == {}
    await client.ask("select * from t force index (b) where b = 2")
    assert await told(engine, crowd, "t") == {}


async def test_an_index_that_a_foreign_key_needs_is_not_unused(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, f"id int primary key, o int, foreign key fk (o) references {crowd.table} (id)", "child")
    client = await crowd.join()
    await client.ask("insert into child values (1, 1), (2, 2)", "select * from child where id = 1")
    assert await told(engine, crowd, "child") == {}


async def test_reads_that_are_not_counted_are_unknown(crowd: Crowd, engine: MysqlEngine) -> None:
    root = await crowd.root()
    await root.ask(NOT_COUNTED)
    try:
        health = await engine.index_health()
    finally:
        await root.ask(READS_COUNTED)
    assert not [one for one in health.findings if one.finding is Finding.UNUSED]
    assert health.since is None
    assert any("whether indexes are used is unknown: UPDATE" in note for note in health.notes)


async def test_userstat_of_mariadb_where_performance_schema_does_not_count(
    crowd: Crowd, engine: MysqlEngine
) -> None:
    if crowd.server.flavor == "mysql":
        pytest.skip("MySQL has no userstat")
    await make(crowd, "id int primary key, a int, b int, key a (a), key b (b)")
    root = await crowd.root()
    await root.ask(NOT_COUNTED, "set global userstat = ON")
    try:
        other = await crowd.root()
        await other.ask(
            f"insert into {crowd.database}.t values (1, 1, 1), (2, 2, 2)",
            f"select * from {crowd.database}.t force index (a) where a = 2",
        )
        await other.connection.ensure_closed()
        assert await told(engine, crowd, "t") == {}  # without SELECT its statistics are hidden
        await root.ask(f"grant select on {crowd.database}.t to dbdeck_monitor@'%'")
        found = await told(engine, crowd, "t")
    finally:
        await root.ask(READS_COUNTED, "set global userstat = OFF")
    assert set(found) == {(Finding.UNUSED, "b")}
    assert "userstat" in found[Finding.UNUSED, "b"].why


async def test_tables_without_a_primary_key(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "a int, key a (a)", "nothing")
    await make(crowd, "a int not null, unique a (a)", "instead")
    await make(crowd, "a int, unique a (a)", "may_be_null")
    await make(crowd, "a varchar(50) not null, unique a (a(10))", "a_part")
    key = (Finding.NO_PRIMARY_KEY, "")
    for name in ("nothing", "may_be_null", "a_part"):
        found = (await told(engine, crowd, name))[key]
        assert found.severity is Severity.WARN
        assert "replica" in found.why
    instead = (await told(engine, crowd, "instead"))[key]
    assert (instead.severity, instead.with_) == (Severity.INFO, "a")


async def test_a_foreign_key_without_an_index(crowd: Crowd, engine: MysqlEngine) -> None:
    """InnoDB makes one; MySQL never lets it go."""
    await make(
        crowd,
        f"id int primary key, o int, constraint fk foreign key (o) references {crowd.table} (id)",
        "c`hild",
    )
    assert (Finding.NO_INDEX_ON_FOREIGN_KEY, "fk") not in await told(engine, crowd, "c`hild")
    if crowd.server.flavor == "mysql":
        return
    root = await crowd.root()
    await root.ask("set foreign_key_checks = 0", f"alter table {crowd.database}.`c``hild` drop index fk")
    found = (await told(engine, crowd, "c`hild"))[Finding.NO_INDEX_ON_FOREIGN_KEY, "fk"]
    assert found.remedy == f"index.create table={crowd.database}.c`hild column=o"
    assert found.definition == "FOREIGN KEY (`o`)"


async def test_tables_that_are_read_without_an_index(
    crowd: Crowd, engine: MysqlEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MANY_SCANNED", 100)
    client = await crowd.join()
    for _ in range(30):
        await client.ask("select count(state) from orders where state > 5")
    found = (await told(engine, crowd, "orders"))[Finding.SEQUENTIAL_SCANS, ""]
    assert found.scans is not None
    assert found.scans >= 180
    assert f"index.create table={crowd.table}" in found.remedy


async def test_storage_engines(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "id int primary key", "old", "engine = MyISAM")
    await make(crowd, "id int primary key", "fleeting", "engine = MEMORY")
    old = (await told(engine, crowd, "old"))[Finding.NOT_INNODB, ""]
    assert (old.severity, old.definition) == (Severity.WARN, "ENGINE=MyISAM")
    assert "restart" in (await told(engine, crowd, "fleeting"))[Finding.NOT_INNODB, ""].why
    await (await crowd.root()).ask(old.remedy)
    assert await told(engine, crowd, "old") == {}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name(crowd: Crowd, engine: MysqlEngine, name: str) -> None:
    root = await crowd.root()
    column = quoted(name)
    await make(
        crowd, f"id int primary key, {column} int, key {column} ({column}), key z ({column}, id)", name
    )
    await root.ask(f"analyze table {crowd.database}.{column}")
    found = await told(engine, crowd, name)
    assert {what: one.with_ for what, one in found.items()} == {(Finding.DUPLICATE, "z"): name}
    (index,) = await engine.indexes(TableQuery(), ((crowd.database, name),))
    assert (index.table, index.bytes, index.table_bytes) == (name, 16384, 16384)
    assert index.definition == f"KEY {column} ({column})"
    await root.ask(found[Finding.DUPLICATE, "z"].remedy)
    assert await told(engine, crowd, name) == {}


async def test_indexes_of_the_tables_asked_for(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "id int primary key, a int, b varchar(9), unique a (a), key b (b(5), a)")
    found = await engine.indexes(TableQuery(names=((crowd.database, "t"),)))
    assert {one.name: one.definition for one in found} == {
        "PRIMARY": "PRIMARY KEY (`id`)",
        "a": "UNIQUE KEY `a` (`a`)",
        "b": "KEY `b` (`b`(5), `a`)",
    }
    by_name = {one.name: one for one in found}
    assert by_name["PRIMARY"].primary
    assert by_name["a"].unique
    assert by_name["a"].constraint == "a"
    assert "table.optimize" in by_name["b"].concurrent
    assert {one.table for one in await engine.indexes(TableQuery(schema=crowd.database))} == {"t", "orders"}
    assert await engine.indexes(TableQuery(), ((crowd.database, "nothing"),)) == ()


async def test_partitions_have_their_indexes_once(crowd: Crowd, engine: MysqlEngine) -> None:
    await make(crowd, "id int primary key, a int, key a (a)", "parts", "partition by hash (id) partitions 4")
    found = {one.name: one for one in await engine.indexes(TableQuery(names=((crowd.database, "parts"),)))}
    assert set(found) == {"PRIMARY", "a"}
    assert found["a"].bytes == 4 * 16384


async def test_hidden_tables_are_unknown_and_not_healthy(crowd: Crowd) -> None:
    blind = await bare(crowd, "process on *.*", "select on performance_schema.*")
    with pytest.raises(PrivilegeMissing) as missing:
        await blind.index_health()
    with pytest.raises(PrivilegeMissing):
        await blind.indexes(TableQuery())
    await blind.close()
    assert missing.value.hint == "GRANT REFERENCES ON *.* TO 'bare'@'%';"


async def test_sizes_and_reads_that_may_not_be_seen_are_told_with_the_grant(crowd: Crowd) -> None:
    partly = await bare(crowd, "process, references on *.*")
    health = await partly.index_health()
    await partly.close()
    assert health.bytes is None
    assert any("GRANT SELECT ON mysql.innodb_index_stats TO 'bare'@'%';" in note for note in health.notes)
    assert any("GRANT SELECT ON performance_schema.* TO 'bare'@'%';" in note for note in health.notes)


@pytest.mark.parametrize("hold", HOLDS)
async def test_it_answers_while_tables_are_locked(crowd: Crowd, engine: MysqlEngine, hold: object) -> None:
    await make(crowd, "a int", "bare")
    await engine.index_health()
    await hold(crowd)  # type: ignore[operator]
    health = await within(1.0, engine.index_health())
    mine = {(one.finding, one.table) for one in health.findings if one.schema == crowd.database}
    assert (Finding.NO_PRIMARY_KEY, "bare") in mine
    assert (Finding.NO_PRIMARY_KEY, "orders") not in mine  # it has one, seen or not
    found = await within(1.0, engine.indexes(TableQuery(names=((crowd.database, "bare"),))))
    assert found == ()
