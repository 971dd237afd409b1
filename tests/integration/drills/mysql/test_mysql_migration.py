"""`migration.rehearse` on dumps of MySQL and MariaDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.command import Command, Done
from tests.integration.drills.mysql.conftest import Shop

UP = """ALTER TABLE orders ADD COLUMN extra INT;
SELECT SLEEP(0.5) FROM orders LIMIT 1;
DELIMITER //
CREATE PROCEDURE more() BEGIN SELECT 1; SELECT 2; END//
DELIMITER ;
"""
DOWN = "DROP PROCEDURE more;\nALTER TABLE orders DROP COLUMN extra;\n"


async def rehearse(shop: Shop, up: str, down: str) -> tuple[Done, dict[str, Any]]:
    folder = shop.folder / "work"
    folder.mkdir()
    backups = folder / "backups"
    backups.mkdir()
    shop.dump("--routines", "--events", "--triggers").rename(backups / "shop.sql")
    command = Command(folder, {"shop": shop.server.target_dict(database=shop.database)})
    values = yaml.safe_load(command.config.read_text())
    rule: dict[str, Any] = {"sources": {"nightly": {"method": "mysqldump", "path": str(backups)}}}
    if shop.tools.binaries:
        rule["binaries"] = shop.tools.binaries
    values["drills"] = {"reports": str(folder / "reports"), "targets": {"shop": rule}}
    command.write(values)
    paths = []
    for name, text in (("up", up), ("down", down)):
        (folder / f"{name}.sql").write_text(text)
        paths.append(f"{name}={folder / name}.sql")
    done = await command.run(
        *("apply", "migration.rehearse", "-t", "shop", *paths, "--yes", "--reason", "a test", "--json")
    )
    found = list(Path(folder / "reports" / "shop" / "migrations").glob("*.json"))
    return done, json.loads(found[0].read_text()) if found else {}


async def test_a_migration_that_leads_back_passes(shop: Shop) -> None:
    done, report = await rehearse(shop, UP, DOWN)
    assert done.code == 0, done.err
    assert report["verdict"] == "pass"
    more = report["up"]["changed"]["more"]
    assert any("more" in name for _, name in more)
    assert not any(report["astray"].values()) or report["astray"] == {"unseen": []}
    if shop.mariadb:
        assert "metadata locks are not recorded" in report["up"]["unseen"]
    else:
        assert [one for one in report["up"]["locks"] if one["relation"].endswith(".orders")]


async def test_the_first_error_is_told_with_its_line(shop: Shop) -> None:
    done, report = await rehearse(
        shop, "ALTER TABLE orders ADD x INT;\n\nDROP TABLE missing;\n", "SELECT 1;\n"
    )
    assert done.code == 1
    assert report["up"]["line"] == 3
    assert "missing" in report["up"]["error"]
    assert "down does not lead back" in report["reasons"][1]


async def test_what_was_rehearsed_in_one_database_is_not_applied_in_another(shop: Shop) -> None:
    """A rehearsal takes the only database of the backup; the live server takes that of the target."""
    await rehearse(shop, "ALTER TABLE orders ADD x INT;\n", "ALTER TABLE orders DROP COLUMN x;\n")
    folder = shop.folder / "work"
    command = Command(folder, {"shop": shop.server.target_dict(database=shop.database)})
    plan = ("plan", "migration.apply", "-t", "shop", f"up={folder / 'up.sql'}", "--json")
    there = (await command.run(*plan)).document
    assert there["refusals"] == []
    values = yaml.safe_load(command.config.read_text())
    values["targets"]["shop"]["database"] = "performance_schema"
    command.write(values)
    other = (await command.run(*plan)).document
    assert f"in the database {shop.database}, and this target's is performance_schema" in other["refusals"][0]
    values["targets"]["shop"]["database"] = ""
    command.write(values)
    none = (await command.run(*plan)).document
    assert none["refusals"] == []
    assert "this target names none" in none["warnings"][0]
    assert len({one["hash"] for one in (there, other, none)}) == 3, "each is another plan to approve"
