"""backup.drill on MySQL and MariaDB from its plan to its verdict, and by an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.backups import manifest
from console.dispatch.lease import unprivileged
from tests.integration.drills.mysql.conftest import VIEW_OVER_FUNCTION, Shop
from tests.integration.drills.mysql.test_take_mysql import LOGIN, PASSWORD, order
from tests.integration.drills.taking import taking_desk
from tests.servers.mysql import MysqlServer


@pytest.fixture(autouse=True)
async def _taker(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBDECK_TEST_BACKUP", PASSWORD)
    word = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    await shop.run(
        f"CREATE USER IF NOT EXISTS dbdeck_backup@'%' IDENTIFIED BY '{word}'",
        "GRANT ALL PRIVILEGES ON *.* TO dbdeck_backup@'%' WITH GRANT OPTION",
    )


def desk_on(shop: Shop) -> Any:
    source = {"method": "mysqldump", "login": dict(LOGIN)}
    over = {"monitor": dict(LOGIN), "operator": dict(LOGIN)}
    return taking_desk(shop.server, shop.folder, source, shop.tools.binaries, **over)


async def test_a_backup_that_was_taken_passes_its_drill(shop: Shop) -> None:
    await shop.run(VIEW_OVER_FUNCTION)
    async with desk_on(shop) as desk:
        await desk.run("backup.take", **order(shop))
        run = await desk.run("backup.drill", source="s")
    assert (run.error, run.effect) == (None, "applied")
    assert run.verify is not None
    assert "PASS" in run.verify.summary


async def test_rights_on_what_is_not_in_the_dump_do_not_stop_it(shop: Shop) -> None:
    """On a table of another database, and on one that is gone: a grant outlives what it was on."""
    await shop.run(
        "CREATE DATABASE elsewhere",
        "CREATE TABLE elsewhere.t (id INT PRIMARY KEY)",
        "CREATE TABLE passing (id INT PRIMARY KEY)",
        "CREATE USER reporter@'%'",
        "GRANT SELECT (id) ON elsewhere.t TO reporter@'%'",
        "GRANT SELECT ON passing TO reporter@'%'",
        "GRANT SELECT ON orders TO reporter@'%'",
        "GRANT EXECUTE ON FUNCTION tax TO reporter@'%'",
        "DROP TABLE passing",
    )
    try:
        async with desk_on(shop) as desk:
            taken = await desk.run("backup.take", **order(shop))
            run = await desk.run("backup.drill", source="s")
    finally:
        await shop.run("DROP DATABASE elsewhere", "DROP USER reporter@'%'")
    assert (taken.error, taken.effect) == (None, "applied")
    assert (run.error, run.effect) == (None, "applied")
    known = manifest.read(shop.folder / "backups" / "one")
    assert known is not None
    assert "2 grants on tables and routines that are not in it were left out" in known.baseline.notes
    held = (shop.folder / "backups" / "one" / "users.sql").read_text()
    assert "orders" in held
    assert "elsewhere" not in held


async def test_a_dump_without_routines_events_and_triggers_fails_and_names_each(shop: Shop) -> None:
    (shop.folder / "backups").mkdir()
    path = shop.dump("--skip-routines", "--skip-events", "--skip-triggers")
    path.rename(shop.folder / "backups" / path.name)
    async with desk_on(shop) as desk:
        run = await desk.run("backup.drill", source="s")
    assert run.error is not None
    assert run.error.kind == "backup_bad"
    for named in ("event nightly", "function tax", "procedure tidy", "trigger noted"):
        assert named in run.error.message


_SCRIPT = """
import asyncio, sys
from pathlib import Path
from actions.restorers import RESTORERS
from actions.restoring import Site
from console.backups.catalogue import catalogue
from console.dispatch.action import Watch
from console.dispatch.enclosure import MYSQL, enclosure
from console.model.backups import DrillRule, Method, Source

async def main(folder, binaries):
    source = Source(method=Method.MYSQLDUMP, path=folder)
    rule = DrillRule(sources={"s": source}, binaries=binaries or None)
    backup = (await catalogue(rule)).newest()
    site = Site(rule, source, backup, Watch())
    restorer = RESTORERS[source.method]
    async def tell(shown, seconds): ...
    site.checks += await restorer.tools(site)
    async with enclosure(MYSQL, Path("/tmp"), tell, closed=True) as made:
        restored = await restorer.restore(site, made)
        assert restored is not None, site.checks
        checks = await restorer.fence(site, made, restored)
        print({str(one.outcome) for one in checks}, restored.databases)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user can enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_an_ordinary_user_drills_too(shop: Shop, open_folder: Path, shop_server: MysqlServer) -> None:
    """Root's own drills are all others here."""
    if os.geteuid() != 0:
        pytest.skip("all tests here run as an ordinary user")
    shutil.copy(shop.dump("--routines", "--events"), open_folder / "shop.sql")
    (open_folder / "shop.sql").chmod(0o644)
    binaries = ""
    if shop.tools.binaries:
        shutil.copytree(shop.tools.binaries, open_folder / "mysql" / "bin")
        binaries = str(open_folder / "mysql" / "bin")
    account = unprivileged(("nobody",))
    # Ours may lie in root's own home.
    python = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    if not Path(python).exists():
        pytest.skip("no Python of the system that others may run")
    packages = [one for one in sys.path if one.endswith("site-packages")]
    env = {"HOME": "/tmp", "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(packages)}
    done = subprocess.run(
        [python, "-B", "-c", _SCRIPT, str(open_folder), binaries],
        capture_output=True, text=True, timeout=100, check=False, cwd=Path(__file__).parents[4],
        user=account.uid, group=account.gid, extra_groups=[], env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{{'passed'}} ('{shop.database}',)" in done.stdout
