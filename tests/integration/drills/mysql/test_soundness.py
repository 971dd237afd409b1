"""What is not sound in a restored copy is named."""

from __future__ import annotations

import pytest

from console.model.backups import Method
from console.model.drills import Outcome
from tests.integration.drills.mysql.conftest import Shop

ALL = ("--routines", "--events", "--triggers")


async def test_nothing_is_wrong_with_a_good_copy(shop: Shop) -> None:
    shop.dump(*ALL)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = await drilled.integrity()
    assert [one for one in found.values() if one.outcome not in (Outcome.PASSED, Outcome.SKIPPED)] == []
    assert found["CHECK TABLE"].detail == "3 tables"


async def test_rows_that_refer_to_nothing_are_counted(shop: Shop) -> None:
    """InnoDB takes them with foreign_key_checks = 0, as every dump has it."""
    await shop.run(
        "SET SESSION foreign_key_checks = 0",
        "INSERT INTO orders (customer, amount) VALUES (77, 1), (78, 1)",
    )
    shop.dump(*ALL)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = (await drilled.integrity())["foreign keys hold"]
    assert found.outcome is Outcome.FAILED
    assert found.items == (
        f"{shop.database}.orders.of_customer: 2 rows refer to nothing in {shop.database}.customers",
    )


async def test_a_view_that_does_not_compile_is_named(shop: Shop) -> None:
    await shop.run("CREATE TABLE passing (id INT)", "CREATE VIEW broken AS SELECT id FROM passing")
    path = shop.dump(*ALL)
    path.write_text(path.read_text() + "\nDROP TABLE passing;\n")
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = (await drilled.integrity())["views can be read"]
    await shop.run("DROP VIEW broken", "DROP TABLE passing")
    assert found.outcome is Outcome.FAILED
    assert f"view {shop.database}.broken" in found.items[0]


async def test_a_number_that_does_not_fit_its_column_is_named(shop: Shop) -> None:
    await shop.run(
        "CREATE TABLE small (id TINYINT AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO small VALUES (120)"
    )
    shop.dump(*ALL)
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = (await drilled.integrity())["the next numbers are free"]
    assert f"{shop.database}.small.id is at 95%" in found.detail


async def test_a_sequence_behind_its_column_is_named(shop: Shop) -> None:
    if not shop.mariadb:
        pytest.skip("MySQL has no sequences")
    await shop.run(
        "CREATE SEQUENCE numbers",
        "CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(numbers) PRIMARY KEY)",
        "INSERT INTO numbered VALUES (5000)",
    )
    shop.dump(*ALL, "--skip-add-locks")  # or it cannot be loaded: the sequence is not locked with the table
    async with shop.drill(Method.MYSQLDUMP) as drilled:
        found = (await drilled.integrity())["the next numbers are free"]
    assert found.outcome is Outcome.FAILED
    assert "numbered.id" in found.items[0]
    assert "behind the column's 5000" in found.items[0]


async def test_a_definer_that_does_not_exist_is_named(shop: Shop) -> None:
    await shop.run("CREATE DEFINER = nobody@nowhere VIEW orphan AS SELECT 1 AS one")
    try:
        shop.dump(*ALL, "--databases", shop.database, "mysql")
        async with shop.drill(Method.MYSQLDUMP) as drilled:
            assert drilled.failed == []
            found = await drilled.integrity()
    finally:
        await shop.run("DROP VIEW orphan")
    assert found["definers exist"].outcome is Outcome.FAILED
    assert f"view {shop.database}.orphan: nobody@nowhere" in found["definers exist"].items


async def test_without_accounts_definers_are_not_judged(shop: Shop) -> None:
    await shop.run("CREATE DEFINER = nobody@nowhere VIEW orphan AS SELECT 1 AS one")
    try:
        shop.dump(*ALL)
        async with shop.drill(Method.MYSQLDUMP) as drilled:
            found = await drilled.integrity()
    finally:
        await shop.run("DROP VIEW orphan")
    assert found["definers exist"].outcome is Outcome.SKIPPED
    assert found["views can be read"].outcome is Outcome.PASSED
