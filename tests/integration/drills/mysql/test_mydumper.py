"""Folders of a real mydumper, good and bad, restored into servers of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from console.model.backups import Method, Source
from console.model.inventory import Wanted
from tests.integration.drills.mysql.conftest import Shop
from tests.integration.drills.mysql.test_contents import as_root, sums

# Debian's mydumper is older than this MySQL, and does not know its statements.
pytestmark = pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)


def dumped(shop: Shop, *options: str) -> Path:
    place = shop.folder / "dumps" / "one"
    place.parent.mkdir(exist_ok=True)
    subprocess.run(
        ["mydumper", "--socket", str(shop.server.socket), "-u", "root", "-B", shop.database, "-o", str(place),
         *options],
        check=True, capture_output=True,
    )  # fmt: skip
    return place


async def test_a_folder_of_mydumper_is_restored(shop: Shop) -> None:
    rows = sums(await as_root(shop).contents(shop.database, Wanted(seconds=30)))
    place = dumped(shop, "-G", "-E", "-R")
    async with shop.drill(Method.MYDUMPER, folder=place.parent) as drilled:
        assert drilled.failed == []
        assert drilled.restored is not None
        copy = await drilled.enclosure.reading(drilled.restored.target)
        found = sums(await copy.contents(shop.database, Wanted(seconds=30)))
        objects = (await copy.inventory(shop.database)).objects
    assert found == rows
    assert {"tax"} == set(objects["function"])
    assert {"noted"} == set(objects["trigger"])


async def test_a_packed_folder_is_restored(shop: Shop) -> None:
    place = dumped(shop, "-c")
    async with shop.drill(Method.MYDUMPER, folder=place.parent) as drilled:
        assert drilled.failed == []
        assert await drilled.ask(f"SELECT count(*) FROM {shop.database}.orders") == [(3,)]


async def test_a_packed_file_that_was_cut_off_is_named(shop: Shop) -> None:
    place = dumped(shop, "-c")
    path = place / f"{shop.database}.orders.sql.gz"
    path.write_bytes(path.read_bytes()[:-9])
    async with shop.drill(Method.MYDUMPER, folder=place.parent) as drilled:
        assert drilled.failed[0].items == (path.name,)


async def test_a_file_that_cannot_be_loaded_is_named(shop: Shop) -> None:
    place = dumped(shop)
    path = place / f"{shop.database}.orders.sql"
    path.write_text(path.read_text().replace("INSERT INTO", "INSERT IN"))
    async with shop.drill(Method.MYDUMPER, folder=place.parent) as drilled:
        assert drilled.restored is None
        assert "orders" in drilled.failed[-1].detail


async def test_what_a_folder_lacks_is_noted(shop: Shop) -> None:
    place = dumped(shop)
    found = await shop.backup(Source(method=Method.MYDUMPER, path=str(place.parent)))
    assert "no trigger is in it" in found.notes
    assert any("-R and -E" in one for one in found.notes)
    assert not any("empty" in one for one in found.notes)


async def test_an_empty_file_is_told(shop: Shop) -> None:
    """Its table is restored without rows, which passes where a live server has few."""
    place = dumped(shop)
    (place / f"{shop.database}.orders.sql").write_bytes(b"")
    found = await shop.backup(Source(method=Method.MYDUMPER, path=str(place.parent)))
    assert any(f"{shop.database}.orders.sql: empty" in one for one in found.notes)


async def test_an_unfinished_folder_is_named_as_such(shop: Shop) -> None:
    place = dumped(shop)
    (place / "metadata").rename(place / "metadata.partial")
    found = await shop.backup(Source(method=Method.MYDUMPER, path=str(place.parent)))
    assert "not finished" in found.faults[0]
