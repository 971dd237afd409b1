"""Tables, Indexes and Progress with keys pressed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Input

import actions
from console.dispatch.registry import Registry, words
from console.model.indexes import Finding, IndexFinding, IndexHealth, Severity
from console.model.progress import Confidence, Estimate, Progress, ProgressReport
from console.model.tables import Bloat, Exhaustion, Table, TableKind
from console.model.target import EngineKind
from console.tui.app import ConsoleApp
from console.tui.panes.locks import LocksPane
from console.tui.screens.arguments import ArgumentsScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.measure import MeasureScreen
from console.tui.screens.text import TextScreen
from console.tui.widgets.columns import fit
from tests.fakes import NOW, STARTED
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, shown, until

ORDERS = Table(
    schema="public", name="orders", number=7, bytes=1 << 30, index_bytes=1 << 29, rows=1_000_000,
    dead=400_000, vacuum_at=200_050, vacuumed_at=NOW - timedelta(hours=3), vacuumed_by="auto",
    vacuums=0, xid_age=900,
    bloat=Bloat(wasted=300 << 20, low=200 << 20, high=400 << 20), why="session 9 pins its dead rows",
)  # fmt: skip
EVENTS = Table(schema="public", name="events", kind=TableKind.PARTITIONED, partitions=2, xid_age=0)
LEAVES = [
    Table(schema="public", name=f"events_{n}", number=20 + n, parent="public.events", bytes=8192, xid_age=3)
    for n in (1, 2)
]
UGLY = Table(
    schema="public", name='Odd "name"', number=30, bytes=8192, xid_age=1,
    exhaustion=Exhaustion(column="id", sequence="odd_id_seq", last=120, limit=127),
)  # fmt: skip
INVALID = IndexFinding(
    finding=Finding.LEFTOVER_NEW, severity=Severity.BAD, schema="public", table="orders", number=40,
    name="orders_at_idx_ccnew", bytes=5 << 20, why="a REINDEX CONCURRENTLY failed",
    remedy="index.drop_invalid index=public.orders_at_idx_ccnew",
)  # fmt: skip
NO_KEY = IndexFinding(
    finding=Finding.NO_PRIMARY_KEY, severity=Severity.WARN, schema="public", table="log",
    remedy="ALTER TABLE public.log ADD PRIMARY KEY (…)",
)  # fmt: skip
BUILD = Progress(
    session=1, started_at=STARTED, command="CREATE INDEX", object="public.orders", phase="waiting",
    done=1, total=4, unit="lockers", seconds=65.0, waits_for=(1,),
    estimate=Estimate(rate=0.1, seconds=30.0, confidence=Confidence.ROUGH),
)  # fmt: skip


@pytest.fixture
def shop(stage: Stage) -> Stage:
    stage.engine.shop = [ORDERS, EVENTS, *LEAVES, UGLY]
    stage.engine.health = IndexHealth(findings=(INVALID, NO_KEY), looked_at=12, bytes=1 << 20)
    stage.engine.at_work = ProgressReport(work=(BUILD,))
    return stage


async def view(pilot: Pilot[Any], stage: Stage, name: str, *keys: str) -> list[tuple[str, ...]]:
    await pilot.press(*keys)
    await until(pilot, lambda: stage.main.pane.name_of_subject == name and bool(cells_of(stage.main.pane)))
    return cells_of(stage.main.pane)


def text(stage: Stage, selector: str) -> str:
    return str(stage.main.pane.query_one(selector).render())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_tables_say_what_they_need_and_partitions_fold(shop: Stage, size: tuple[int, int]) -> None:
    async with shown(shop, size) as pilot:
        lines = await view(pilot, shop, "tables", "3")
        assert [cells[9].strip() for cells in lines] == [
            "public.orders", "public.events (2 partitions)", 'public.Odd "name"'
        ]  # fmt: skip
        assert lines[0][1] == "400k"
        assert lines[0][2] == "~300 MB"
        assert "94% of the numbers of id" in lines[2][10]
        details = text(shop, ".details")
        assert "between 200 MB and 400 MB" in details
        assert "autovacuum comes at 200,050 dead rows" in details
        await pilot.press("down", "space")
        assert len(cells_of(shop.main.pane)) == 5


async def test_vacuum_is_planned_with_the_name_of_the_table(shop: Stage) -> None:
    async with shown(shop) as pilot:
        await view(pilot, shop, "tables", "3")
        await pilot.press("end", "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        assert words(pilot.app.screen.query_one(Input).value) == {"table": 'public."Odd ""name"""'}
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: 'vacuum "public"."Odd ""name"""' in said(pilot))


def said(pilot: Pilot[Any]) -> str:
    return " ".join(str(one.render()) for one in pilot.app.screen.query("Static"))


async def test_rewriting_a_table_of_postgres_is_vacuum_full_and_wants_the_name(shop: Stage) -> None:
    async with shown(shop) as pilot:
        await view(pilot, shop, "tables", "3")
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        assert "full=true" in pilot.app.screen.query_one(Input).value
        await pilot.press("enter")
        await until(pilot, lambda: "every reader and writer waits" in said(pilot))


async def test_measuring_shows_its_cost_before_it_reads(shop: Stage) -> None:
    measured: list[str] = []

    async def measure(schema: str, name: str) -> Bloat:
        measured.append(name)
        return Bloat(wasted=4096, low=4096, high=4096, exact=True)

    shop.engine.measure = measure  # type: ignore[method-assign]
    async with shown(shop) as pilot:
        await view(pilot, shop, "tables", "3")
        await pilot.press("m")
        await until(pilot, lambda: isinstance(pilot.app.screen, MeasureScreen) and "lock:" in said(pilot))
        assert measured == []
        await pilot.press("enter")
        await until(pilot, lambda: "4,096 bytes" in said(pilot))
        assert measured == ["orders"]


async def test_the_arguments_tell_of_the_server_that_answered_only(shop: Stage) -> None:
    shop.engine.server = msgspec.structs.replace(shop.engine.server, flavor="mariadb")
    async with shown(shop) as pilot:
        await view(pilot, shop, "tables", "3")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        assert "LOCAL" not in said(pilot)
        assert "needs: `SELECT` and `INSERT` on the tables" in said(pilot)
        assert "ShareUpdateExclusiveLock" not in said(pilot)


async def test_an_index_finding_is_mended_by_its_own_action(shop: Stage) -> None:
    async with shown(shop) as pilot:
        await view(pilot, shop, "indexes", "3", "3")
        assert "1 left by a failed rebuild" in text(shop, "#indexes-summary")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        assert pilot.app.screen.query_one(Input).value == "index=public.orders_at_idx_ccnew"
        await pilot.press("escape", "down", "x")
        await until(pilot, lambda: "no action does this" in shop.status)


@pytest.mark.parametrize(("engine", "named"), [(EngineKind.POSTGRES, True), (EngineKind.MYSQL, False)])
async def test_indexes_offer_what_can_be_done_to_one_index_where_the_engine_can(
    shop: Stage, engine: EngineKind, named: bool
) -> None:
    """Elsewhere an index is part of its table: the keys said only that there was nothing to do."""
    entry = msgspec.structs.replace(shop.config.targets["shop"], engine=engine)
    shop.config = msgspec.structs.replace(shop.config, targets={"shop": entry})
    shop.app = ConsoleApp(shop.config, Registry(actions.ALL))
    async with shown(shop, WIDE) as pilot:
        await view(pilot, shop, "indexes", "3", "3")
        assert "x mend it" in shop.keys
        assert [word in shop.keys for word in ("i reindex", "d drop invalid", "m measure")] == [named] * 3
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        assert "Mend the finding" in said(pilot)
        assert ("Measure bloat exactly" in said(pilot)) is named
        if not named:
            await pilot.press("escape", "m")
            await until(pilot, lambda: "this engine has nothing like it" in shop.status)


async def test_progress_leads_to_whom_it_waits_for(shop: Stage) -> None:
    async with shown(shop) as pilot:
        lines = await view(pilot, shop, "progress", "3", "3", "3")
        assert lines[0][3] == "##--------  25%"
        assert lines[0][4] == "~30s"
        await until(pilot, lambda: bool(shop.main.query_one(LocksPane).items))
        await pilot.press("f")
        await until(pilot, lambda: shop.main.pane.name_of_subject == "locks")
        current = shop.main.query_one(LocksPane).current
        assert current is not None
        assert current.session.id == 1


async def test_a_wraparound_vacuum_is_not_cancelled_from_here(shop: Stage) -> None:
    must = msgspec.structs.replace(BUILD, command="VACUUM", automatic=True, wraparound=True)
    shop.engine.at_work = ProgressReport(work=(must,))
    async with shown(shop) as pilot:
        await view(pilot, shop, "progress", "3", "3", "3")
        await pilot.press("c")
        await until(pilot, lambda: "running out of transaction numbers" in shop.status)
        assert shop.operator.sent == []
        await asyncio.sleep(0)


# ---- on a narrow screen, and on an engine without VACUUM ---------------------------------------------

INNODB = Table(schema="shop", name="orders", storage="InnoDB", bytes=1 << 30, index_bytes=1 << 20, rows=9,
               free_bytes=1 << 20)  # fmt: skip


def titles(stage: Stage, width: int) -> list[str]:
    """The columns that fit beside the grid's two cells for the cursor."""
    data = stage.main.pane.reading.data
    return [slot.column.title for slot in fit(stage.main.pane.columns_of(data), width - 2)]


async def test_a_narrow_screen_has_the_columns_that_matter(shop: Stage) -> None:
    async with shown(shop, NARROW) as pilot:
        await view(pilot, shop, "tables", "3")
        assert titles(shop, 80) == ["size", "dead", "bloat", "vacuum", "analyze", "xid age", "table", "why"]
        assert len(titles(shop, 160)) == len(shop.main.pane.columns)


async def test_a_narrow_key_line_has_the_keys_of_most_use_and_the_help(shop: Stage) -> None:
    async with shown(shop, NARROW) as pilot:
        await view(pilot, shop, "tables", "3")
        for words_ in ("v vacuum", "a analyze", "h all", "s sort", "m measure", "? help"):
            assert words_ in shop.keys
        assert len(shop.keys.rstrip()) <= 80
        await pilot.press("down")
        await until(pilot, lambda: "Space unfold" in shop.keys)
        assert len(shop.keys.rstrip()) <= 80
        await pilot.press("3")
        await until(pilot, lambda: "m measure" in shop.keys and "d drop" in shop.keys)
        await pilot.press("3")
        await until(pilot, lambda: "f follow" in shop.keys)


async def test_a_wide_key_line_has_all_keys_in_whole_words(shop: Stage) -> None:
    async with shown(shop, WIDE) as pilot:
        await view(pilot, shop, "tables", "3")
        for words_ in ("h whole database", "l limits", "s sort", "/ filter", "^p commands", "q quit"):
            assert words_ in shop.keys


async def test_an_engine_without_vacuum_has_neither_its_columns_nor_its_keys(shop: Stage) -> None:
    shop.engine.shop = [INNODB]
    async with shown(shop, WIDE) as pilot:
        lines = await view(pilot, shop, "tables", "3")
        assert titles(shop, 160) == ["size", "analyze", "rows", "indexes", "free", "table", "why"]
        assert lines[0][:6] == ("1.0 GB", "", "9", "1.0 MB", "1.0 MB", "shop.orders")
        assert "bloat" not in text(shop, ".details")
        assert "a analyze" in shop.keys
        for words_ in ("vacuum", "reindex", "limits", "measure"):
            assert words_ not in shop.keys


async def test_details_without_room_are_scrolled_to_their_end(shop: Stage) -> None:
    async with shown(shop, NARROW) as pilot:
        await view(pilot, shop, "tables", "3")
        box = shop.main.pane.query_one(".beneath")
        await until(pilot, lambda: "Enter: more" in str(box.border_title))
        for _ in range(4):
            await pilot.press("J")
        assert box.scroll_offset.y == box.max_scroll_y > 0
        await pilot.press("K", "K", "K", "K")
        assert box.scroll_offset.y == 0


@pytest.mark.parametrize("size", [NARROW, (80, 16), WIDE])
async def test_a_long_plan_leaves_the_reason_and_the_buttons_in_view(
    shop: Stage, size: tuple[int, int]
) -> None:
    shop.engine.shop = [msgspec.structs.replace(ORDERS, name=f"orders_{n}", number=n) for n in range(60)]
    async with shown(shop, size) as pilot:
        await view(pilot, shop, "tables", "3")
        await pilot.press("h")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen) and "60 objects" in said(pilot)
        )
        await until(pilot, lambda: "there is more" in said(pilot))
        screen = pilot.app.screen
        for selector in ("#reason", "#why", "#leave", "#go"):
            region = screen.query_one(selector).region
            assert 0 < region.y < size[1] - 1, selector
            assert region.height == 1, selector
        box = screen.query_one(VerticalScroll)
        for _ in range(80):
            await pilot.press("pagedown")
        assert box.scroll_offset.y == box.max_scroll_y > 0
