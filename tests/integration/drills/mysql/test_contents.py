"""What is in a database, as the server tells it: compared between a source and what was restored of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from console.engine.mysql.engine import MysqlEngine
from console.errors import ActionFailed
from console.model.backups import Method
from console.model.inventory import Contents, Wanted, differences
from console.model.target import Target
from tests.integration.drills.mysql.conftest import VIEW_OVER_FUNCTION, Drilled, Shop

ALL = ("--routines", "--events", "--triggers")
PLENTY = Wanted(seconds=30.0)


def as_root(shop: Shop, **over: Any) -> MysqlEngine:
    socket = {"host": str(shop.server.socket), "port": 0, "tls": "off", "ca": None}
    told = shop.server.target_dict(**(socket | {"monitor": {"user": "root"}, "operator": None} | over))
    return MysqlEngine(msgspec.convert({"name": "shop"} | told, Target))


def as_user(shop: Shop, user: str) -> MysqlEngine:
    """A login by its name; its password is the test's own."""
    return as_root(shop, monitor={"user": user, "password": "env:DBDECK_TEST_MONITOR"})


async def restored(drilled: Drilled) -> Any:
    assert drilled.restored is not None, drilled.checks
    return await drilled.enclosure.reading(drilled.restored.target)


async def test_every_kind_of_object_is_named(shop: Shop) -> None:
    await shop.run(
        VIEW_OVER_FUNCTION,
        "CREATE TABLE parted (id INT) PARTITION BY RANGE (id)"
        " (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE)",
    )
    engine = as_root(shop)
    found = (await engine.inventory(shop.database)).objects
    assert set(found["table"]) == {"customers", "keyless", "orders", "parted"}
    assert set(found["view"]) == {"large", "taxed"}
    assert set(found["function"]) == {"tax"}
    assert set(found["procedure"]) == {"tidy"}
    assert set(found["trigger"]) == {"noted"}
    assert set(found["event"]) == {"nightly"}
    assert {"orders.PRIMARY", "orders.amount", "customers.name"} <= set(found["index"])
    assert set(found["foreign key"]) == {"orders.of_customer"}
    assert "orders.positive" in found["check constraint"]
    assert set(found["generated column"]) == {"orders.twice"}
    assert set(found["partition"]) == {"parted.high", "parted.low"}


async def test_a_sequence_is_named(shop: Shop) -> None:
    if not shop.mariadb:
        pytest.skip("MySQL has no sequences")
    await shop.run("CREATE SEQUENCE numbers START WITH 5")
    assert set((await as_root(shop).inventory(shop.database)).objects["sequence"]) == {"numbers"}


async def test_what_was_restored_is_as_its_source(shop: Shop) -> None:
    await shop.run(VIEW_OVER_FUNCTION)
    shop.dump(*ALL, "--databases", shop.database)
    source = as_root(shop)
    wanted, rows = await source.inventory(shop.database), await source.contents(shop.database, PLENTY)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        copy = await restored(drilled)
        found, copied = await copy.inventory(shop.database), await copy.contents(shop.database, PLENTY)
    assert not differences(wanted, found), differences(wanted, found)
    assert sums(copied) == sums(rows)
    assert all(one.exact and one.checksum for one in rows.tables)


def sums(found: Contents) -> dict[str, tuple[int | None, str]]:
    return {one.name: (one.rows, one.checksum) for one in found.tables}


async def missing_of(shop: Shop, *options: str) -> set[tuple[str, str]]:
    """What a restored dump lacks, by the inventory of its source."""
    wanted = await as_root(shop).inventory(shop.database)
    shop.dump(*options)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = await (await restored(drilled)).inventory(shop.database)
    return set(differences(wanted, found).missing)


async def test_a_dump_without_routines_lacks_each_of_them_by_name(shop: Shop) -> None:
    missing = await missing_of(shop, "--skip-routines", "--events")
    assert missing == {("function", "tax"), ("procedure", "tidy")}


async def test_a_dump_without_events_lacks_each_of_them_by_name(shop: Shop) -> None:
    assert await missing_of(shop, "--routines", "--skip-events") == {("event", "nightly")}


async def test_a_dump_without_triggers_lacks_each_of_them_by_name(shop: Shop) -> None:
    missing = await missing_of(shop, "--routines", "--events", "--skip-triggers")
    assert missing == {("trigger", "noted")}


async def test_a_table_that_was_left_out_is_named_with_all_of_it(shop: Shop) -> None:
    missing = await missing_of(shop, *ALL, f"--ignore-table={shop.database}.large")
    assert missing == {("view", "large")}


async def test_a_low_privileged_dump_lacks_routines_though_it_was_told_to_have_them(shop: Shop) -> None:
    """MariaDB: exit code 0, nothing said, and none of them in the file (research finding 4 of drills)."""
    if not shop.mariadb:
        pytest.skip("MySQL's mysqldump fails then")
    name = f"low_{shop.database[-8:]}"
    await shop.run(
        f"CREATE USER {name}@'%' IDENTIFIED BY 'monitor-pw'",
        f"GRANT SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON {shop.database}.* TO {name}@'%'",
    )
    try:
        wanted = await as_root(shop).inventory(shop.database)
        shop.dump(*ALL, login=(f"-u{name}", "-pmonitor-pw"))
        async with shop.drill(Method.MYSQLDUMP) as drilled:
            assert drilled.failed == []
            found = await (await restored(drilled)).inventory(shop.database)
    finally:
        await shop.run(f"DROP USER {name}@'%'")
    assert set(differences(wanted, found).missing) == {("function", "tax"), ("procedure", "tidy")}


async def test_what_a_login_may_not_see_is_told_with_the_grant(shop: Shop) -> None:
    name = f"low_{shop.database[-8:]}"
    await shop.run(
        f"CREATE USER {name}@'%' IDENTIFIED BY 'monitor-pw'",
        f"GRANT SELECT, SHOW VIEW ON {shop.database}.* TO {name}@'%'",
    )
    try:
        found = await as_user(shop, name).inventory(shop.database)
        server = await as_user(shop, name).inventory("")
    finally:
        await shop.run(f"DROP USER {name}@'%'")
    assert set(found.unseen) == {"procedure", "function", "trigger", "event"}
    assert "GRANT TRIGGER ON" in found.unseen["trigger"]
    assert set(server.unseen) == {"user", "role", "grant"}
    assert "GRANT SELECT ON mysql" in server.unseen["user"]
    assert not {"procedure", "function"} & {one[0] for one in differences(found, found).missing}


async def test_a_login_that_sees_all_is_told_so(shop: Shop) -> None:
    assert (await as_root(shop).inventory(shop.database)).unseen == {}


async def test_a_missing_user_and_grant_are_named(shop: Shop) -> None:
    name = f"gone_{shop.database[-8:]}"
    engine = as_root(shop)
    before = await engine.inventory("")
    await shop.run(
        f"CREATE USER {name}@'%' IDENTIFIED BY 'x-1-Long'",
        f"GRANT SELECT ON {shop.database}.* TO {name}@'%'",
    )
    try:
        after = await engine.inventory("")
    finally:
        await shop.run(f"DROP USER {name}@'%'")
    missing = differences(after, before).missing
    assert ("user", f"{name}@%") in missing
    assert ("grant", f"privileges on `{shop.database}`.* to {name}@%") in missing


async def test_the_verifier_of_an_account_is_in_no_fingerprint(shop: Shop) -> None:
    name = f"same_{shop.database[-8:]}"
    engine = as_root(shop)
    await shop.run(f"CREATE USER {name}@'%' IDENTIFIED BY 'x-1-Long'")
    try:
        before = await engine.inventory("")
        await shop.run(f"ALTER USER {name}@'%' IDENTIFIED BY 'y-2-Long'")
        assert before == await engine.inventory("")
    finally:
        await shop.run(f"DROP USER {name}@'%'")


async def test_a_next_number_is_no_change_of_a_definition(shop: Shop) -> None:
    engine = as_root(shop)
    before = await engine.inventory(shop.database)
    await shop.run("INSERT INTO orders (customer, amount) VALUES (1, 1)")
    assert not differences(before, await engine.inventory(shop.database))


async def test_a_changed_definition_is_named(shop: Shop) -> None:
    engine = as_root(shop)
    before = await engine.inventory(shop.database)
    await shop.run(
        "DROP TRIGGER noted", "CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW SET @x = 1"
    )
    assert differences(before, await engine.inventory(shop.database)).changed == (("trigger", "noted"),)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET note = NULL WHERE note = ''",
        "UPDATE customers SET name = 'Zoe' WHERE name = 'Zoë'",
        "UPDATE orders SET at = '2026-01-02 03:04:05.679' WHERE id = 2",
        "UPDATE keyless SET v = NULL WHERE v = 'a' LIMIT 1",
        "DELETE FROM keyless WHERE v = 'a' LIMIT 1",
    ],
)
async def test_a_changed_value_changes_the_checksum(shop: Shop, change: str) -> None:
    engine = as_root(shop)
    before = sums(await engine.contents(shop.database, PLENTY))
    await shop.run(change)
    after = sums(await engine.contents(shop.database, PLENTY))
    assert len({name for name in before if before[name] != after[name]}) == 1


async def test_a_dump_in_another_character_set_has_other_contents(shop: Shop) -> None:
    """A client of the wrong character set writes a question mark for what it has no letter for."""
    source = as_root(shop)
    rows = sums(await source.contents(shop.database, PLENTY))
    shop.dump(*ALL, "--default-character-set=latin1")
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = sums(await (await restored(drilled)).contents(shop.database, PLENTY))
    assert {name for name in rows if rows[name] != found[name]} == {"customers"}


async def test_a_table_without_its_rows_is_counted(shop: Shop) -> None:
    source = as_root(shop)
    rows = sums(await source.contents(shop.database, PLENTY))
    path = shop.dump(*ALL)
    lines = path.read_text().splitlines()
    begin = lines.index("LOCK TABLES `orders` WRITE;")
    end = lines.index("UNLOCK TABLES;", begin)
    path.write_text("\n".join(lines[:begin] + lines[end + 1 :]))
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = sums(await (await restored(drilled)).contents(shop.database, PLENTY))
    assert found["orders"][0] == 0
    assert {name for name in rows if rows[name] != found[name]} == {"orders"}


async def test_the_same_sample_is_taken_as_before(shop: Shop) -> None:
    engine = as_root(shop)
    found = await engine.contents(shop.database, PLENTY)
    like = tuple(msgspec.structs.replace(one, sample=2) for one in found.tables)
    first = await engine.contents(shop.database, Wanted(seconds=30.0, like=like))
    again = await engine.contents(shop.database, Wanted(seconds=30.0, like=first.tables))
    assert {one.sample for one in first.tables} == {2}
    assert first.tables == again.tables
    assert sums(first) != sums(found)
    assert all(one.exact for one in first.tables)


async def test_without_time_nothing_is_counted_and_that_is_told(shop: Shop) -> None:
    found = await as_root(shop).contents(shop.database, Wanted(seconds=0.0))
    assert {one.exact for one in found.tables} == {False}
    assert {one.why for one in found.tables} == {"it does not fit in the time given"}


async def test_a_table_that_may_not_be_read_says_the_grant(shop: Shop) -> None:
    name = f"low_{shop.database[-8:]}"
    await shop.run(
        f"CREATE USER {name}@'%' IDENTIFIED BY 'monitor-pw'",
        f"GRANT SELECT ON {shop.database}.orders TO {name}@'%'",
        f"GRANT REFERENCES ON {shop.database}.* TO {name}@'%'",
    )
    try:
        found = (await as_user(shop, name).contents(shop.database, PLENTY)).by_name()
    finally:
        await shop.run(f"DROP USER {name}@'%'")
    assert found["orders"].exact
    assert "GRANT SELECT ON" in found["customers"].why
    assert not found["customers"].checksum


async def test_a_question_is_answered_by_its_first_value(shop: Shop) -> None:
    engine = as_root(shop)
    assert await engine.ask(shop.database, "SELECT count(*) FROM orders", seconds=5) == "3"
    assert await engine.ask(shop.database, "SELECT max(note) FROM orders WHERE id = 0", seconds=5) is None
    assert await engine.ask(shop.database, "SELECT name FROM customers WHERE id = 2", seconds=5) == "Zoë"
    newest = await engine.ask(shop.database, "SELECT max(at) FROM orders", seconds=5)
    assert newest == "2026-01-02T03:04:05.678000+00:00"


@pytest.mark.parametrize("sql", ["DELETE FROM orders", "DROP TABLE keyless", "SELECT nothing FROM orders"])
async def test_a_question_may_only_read(shop: Shop, sql: str) -> None:
    with pytest.raises(ActionFailed):
        await as_root(shop).ask(shop.database, sql, seconds=5)
    assert await shop.run("SELECT count(*) FROM keyless") == [(3,)]


async def test_a_question_that_takes_too_long_is_ended(shop: Shop) -> None:
    with pytest.raises(ActionFailed):
        await as_root(shop).ask(
            shop.database,
            "SELECT count(*) FROM information_schema.columns a, information_schema.columns b,"
            " information_schema.columns c",
            seconds=0.3,
        )


async def test_a_snapshot_does_not_see_what_comes_later(shop: Shop) -> None:
    async with as_root(shop).snapshot(shop.database) as moment:
        before = sums(await moment.contents(PLENTY))
        await shop.run("INSERT INTO orders (customer, amount) VALUES (1, 1)")
        assert sums(await moment.contents(PLENTY)) == before
        assert moment.id == ""
        assert moment.position.startswith("binlog.0")
        assert (await moment.inventory()).objects["table"]
    assert sums(await as_root(shop).contents(shop.database, PLENTY)) != before


async def test_databases_are_those_of_users(shop: Shop) -> None:
    found = await as_root(shop).databases()
    assert shop.database in found
    assert not {"mysql", "sys", "information_schema", "performance_schema"} & set(found)
