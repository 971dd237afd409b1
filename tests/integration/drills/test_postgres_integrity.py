"""Each planted fault of a restored PostgreSQL is found and named, and what is sound is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from actions import integrity_statements, postgres_integrity
from console.dispatch.action import Watch
from console.errors import Cancelled
from console.model.drills import Area, Check, Outcome
from console.model.inventory import Baseline, Inventory
from tests.integration.drills.copies import Copy, copy_of, named
from tests.servers import places

SHOP = (
    "create table customers (id int generated always as identity primary key, mail text unique)",
    "create table orders (id serial primary key, customer_id int references customers, note text)",
    "insert into customers (mail) select 'm' || g from generate_series(1, 2000) g",
    "insert into orders (customer_id, note) select 1 + g % 2000, repeat('x', 100)"
    " from generate_series(1, 5000) g",
)


@pytest_asyncio.fixture(params=places.POSTGRES)
async def copy(request: pytest.FixtureRequest) -> AsyncIterator[Copy]:
    async with copy_of(request.param) as made:
        await made.run(*SHOP)
        yield made


@pytest_asyncio.fixture
async def copy17() -> AsyncIterator[Copy]:
    async with copy_of("pg17") as made:
        await made.run(*SHOP)
        yield made


def bad(checks: list[Check]) -> dict[str, Check]:
    return {one.name: one for one in checks if one.outcome in (Outcome.FAILED, Outcome.BROKEN)}


async def test_a_sound_copy_passes_everything(copy: Copy) -> None:
    checks = await copy.checks()
    assert bad(checks) == {}
    passed = named(checks, Outcome.PASSED)
    assert {
        "postgres: answers", "postgres: versions of collations", "postgres: sequences",
        "postgres: foreign keys",
        "postgres: invalid indexes", "postgres: tables", "postgres: B-tree indexes",
    } <= passed.keys()  # fmt: skip
    assert passed["postgres: foreign keys"].detail == "1 foreign key"
    assert passed["postgres: sequences"].detail == "2 sequences"
    assert "page checksums are on" in passed["postgres: tables"].detail
    assert " 0 by their own order alone" in passed["postgres: B-tree indexes"].detail


async def test_an_index_that_lacks_a_row_is_named(copy: Copy) -> None:
    await copy.run(
        "update pg_index set indisready = false where indexrelid = 'orders_pkey'::regclass",
        "insert into orders (customer_id) values (7)",
        "update pg_index set indisready = true where indexrelid = 'orders_pkey'::regclass",
    )
    found = await copy.outcome("B-tree indexes")
    assert (found.outcome, found.area, found.items) == (
        Outcome.FAILED,
        Area.INTEGRITY,
        ("public.orders_pkey",),
    )
    assert "lacks matching index tuple" in found.detail


@pytest.mark.parametrize(("relation", "check"), [("orders", "tables"), ("orders_pkey", "B-tree indexes")])
async def test_a_flipped_byte_is_named(copy17: Copy, relation: str, check: str) -> None:
    await copy17.flip(relation, 3 * 8192 + 4000)
    found = await copy17.outcome(check)
    assert (found.outcome, found.items) == (Outcome.FAILED, (f"public.{relation}",))
    assert "invalid page in block 3" in found.detail


async def test_a_flipped_byte_in_long_values_is_named_by_their_table(copy17: Copy) -> None:
    await copy17.run(
        "create table papers (body text)",
        "alter table papers alter body set storage external",
        "insert into papers select repeat(md5(g::text), 500) from generate_series(1, 20) g",
    )
    ((toast,),) = await copy17.run(
        "select reltoastrelid::regclass::text from pg_class where relname = 'papers'"
    )
    await copy17.flip(str(toast), 5 * 8192 + 4000)
    found = await copy17.outcome("tables")
    assert (found.outcome, found.items) == (Outcome.FAILED, ("TOAST of public.papers",))


async def test_a_row_that_refers_to_none_is_counted_and_not_shown(copy: Copy) -> None:
    await copy.run(
        "begin; set local session_replication_role = replica;"
        " insert into orders (customer_id) values (98765), (98766), (null); commit"
    )
    found = await copy.outcome("foreign keys")
    assert (found.outcome, found.area) == (Outcome.FAILED, Area.KEYS)
    assert found.items == ("public.orders.orders_customer_id_fkey",)
    assert found.detail == "public.orders.orders_customer_id_fkey: 2 rows refer to none"
    assert "9876" not in found.detail


async def test_partitions_and_keys_of_several_columns_are_looked_at_as_a_whole(copy: Copy) -> None:
    await copy.run(
        'create table "Odd" (a int, "b c" text, primary key (a, "b c")) partition by list (a)',
        'create table odd1 partition of "Odd" for values in (1)',
        'create table odd2 partition of "Odd" for values in (2)',
        """create table refers (x int, y text, constraint "to it" foreign key (x, y) references "Odd"
           match full) partition by list (x)""",
        "create table refers1 partition of refers default",
        """insert into "Odd" values (1, 'i'), (2, 'ii')""",
        "insert into refers values (1, 'i'), (2, 'ii'), (null, null)",
    )
    assert (await copy.outcome("foreign keys")).detail == "2 foreign keys"
    await copy.run(
        "begin; set local session_replication_role = replica;"
        " insert into refers values (1, 'x'), (null, 'half'); commit"
    )
    found = await copy.outcome("foreign keys")
    assert found.detail == 'public.refers."to it": 2 rows refer to none'


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        ("select setval('orders_id_seq', 10)", "the next value is 11, and the column has 5000"),
        ("select setval('orders_id_seq', 5000, false)", "the next value is 5000, and the column has 5000"),
        ("select setval('orders_id_seq', 2147483647)", "the next value 2147483648 is beyond the 2147483647"),
    ],
)
async def test_a_sequence_that_cannot_go_on_is_named(copy17: Copy, plant: str, told: str) -> None:
    await copy17.run("alter sequence orders_id_seq as bigint", plant)
    found = await copy17.outcome("sequences")
    assert (found.outcome, found.area) == (Outcome.FAILED, Area.SEQUENCES)
    assert found.items == ("public.orders_id_seq (public.orders.id)",)
    assert told in found.detail


async def test_sequences_that_count_down_go_round_or_are_only_a_default_are_understood(copy17: Copy) -> None:
    await copy17.run(
        "create sequence down increment -2", "create sequence round maxvalue 3 cycle", "create sequence free",
        """create table counted (a int default nextval('down'), b smallint default nextval('round'),
           c numeric default nextval('free'), d text default 'x' || nextval('free'))""",
        "insert into counted select from generate_series(1, 10)",
    )  # fmt: skip
    assert (await copy17.outcome("sequences")).outcome is Outcome.PASSED
    await copy17.run("select setval('down', -3)", "select setval('free', 5)")
    found = await copy17.outcome("sequences")
    assert set(found.items) == {"public.down (public.counted.a)", "public.free (public.counted.c)"}


async def test_an_invalid_index_is_named_unless_the_source_has_it_too(copy: Copy) -> None:
    await copy.run("insert into orders (customer_id, note) values (1, 'y'), (1, 'y')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await copy.run("create unique index concurrently twice on orders (note)")
    found = await copy.outcome("invalid indexes")
    assert (found.outcome, found.items) == (Outcome.FAILED, ("public.twice",))
    assert "no baseline" in found.detail
    known = Inventory(
        database="postgres", flavor="postgresql", version=17, objects={"invalid index": {"public.twice": ""}}
    )
    now = datetime.now(UTC)
    copy.site.baseline = Baseline(exact=True, taken_at=now, origin="the manifest", inventories=(known,))
    assert (await copy.outcome("invalid indexes")).outcome is Outcome.PASSED
    copy.site.baseline = Baseline(
        exact=True, taken_at=now, origin="the manifest",
        inventories=(msgspec.structs.replace(known, objects={}),),
    )  # fmt: skip
    assert (await copy.outcome("invalid indexes")).outcome is Outcome.FAILED


async def test_what_is_not_valid_is_told_and_no_fault_of_the_backup(copy: Copy) -> None:
    await copy.run(
        "alter table orders add constraint short check (length(note) < 5) not valid",
        "alter table orders drop constraint orders_customer_id_fkey",
        "insert into orders (customer_id) values (98765)",
        "alter table orders add constraint later foreign key (customer_id) references customers not valid",
    )
    assert (await copy.outcome("foreign keys")).outcome is Outcome.PASSED
    found = await copy.outcome("constraints not validated")
    assert found.outcome is Outcome.PASSED
    assert found.items == ("public.orders.later", "public.orders.short")
    assert "broken already: public.orders.later: 1 rows refer to none" in found.detail


async def test_without_amcheck_tables_are_still_read_and_indexes_are_not_said_to_be_sound(
    copy17: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        integrity_statements, "_EXTENSION",
        "select null::text, null::text, null::text, current_setting('data_checksums'), 170000",
    )  # fmt: skip
    checks = await copy17.checks()
    skipped = named(checks, Outcome.SKIPPED)["postgres: B-tree indexes"]
    assert "install postgresql-contrib" in skipped.detail
    assert "read every page" in named(checks, Outcome.PASSED)["postgres: tables"].detail
    await copy17.flip("orders", 3 * 8192 + 4000)
    assert (await copy17.outcome("tables")).items == ("public.orders",)


async def test_other_kinds_of_index_are_said_not_to_be_checked(copy17: Copy) -> None:
    await copy17.run("create index hashed on orders using hash (note)")
    found = await copy17.outcome("other indexes")
    assert (found.outcome, found.items) == (Outcome.SKIPPED, ("public.hashed (hash)",))


async def test_another_collation_blames_the_host_and_not_the_backup(copy17: Copy) -> None:
    await copy17.run(
        "create collation moved (provider = libc, locale = 'C.UTF-8')",
        "create table sorted (v text collate moved)",
        "insert into sorted select md5(g::text) from generate_series(1, 100) g",
        "create index sorted_v on sorted (v)",
        "update pg_collation set collversion = '0.1' where collname = 'moved'",
        "update pg_index set indisready = false where indexrelid = 'sorted_v'::regclass",
        "insert into sorted values ('planted')",
        "update pg_index set indisready = true where indexrelid = 'sorted_v'::regclass",
    )
    checks = await copy17.checks()
    found = named(checks, Outcome.SKIPPED)["postgres: versions of collations"]
    assert "the drill host's affair" in found.detail
    assert found.items[0].startswith("collation public.moved: 0.1 there, ")
    assert named(checks, Outcome.BROKEN)["postgres: indexes on text"].items == ("public.sorted_v",)
    assert named(checks, Outcome.FAILED) == {}


async def test_a_database_that_cannot_be_entered_fails_and_the_others_are_looked_at(copy17: Copy) -> None:
    restored = msgspec.structs.replace(copy17.restored, databases=("gone", "postgres"))
    checks = await postgres_integrity.checks(copy17.site, copy17.enclosure, restored)
    assert list(named(checks, Outcome.FAILED)) == ["gone: answers"]
    assert "postgres: tables" in named(checks, Outcome.PASSED)


async def test_what_there_is_no_time_for_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_integrity, "LEAST_SECONDS", 0.0)
    async with copy_of("pg17", budget="0s") as made:
        await made.run(*SHOP)
        checks = await made.checks()
    late = [one for one in checks if one.outcome is Outcome.SKIPPED and "not looked at" in one.name]
    assert late
    assert all("there was no time for " in one.detail and one.items for one in late)
    assert named(checks, Outcome.FAILED) == {}


async def test_a_stop_ends_it() -> None:
    watch = Watch()
    async with copy_of("pg17", watch=watch) as made:
        await made.run(
            *SHOP, "insert into customers (mail) select 'n' || g from generate_series(1, 600000) g"
        )
        running = asyncio.create_task(made.checks())
        await asyncio.sleep(0.3)
        watch.stop.ask("a person")
        with pytest.raises(Cancelled, match="a person"):
            await running


async def test_nothing_of_the_copys_own_event_triggers_runs(copy17: Copy) -> None:
    await copy17.run(
        "create function refuse() returns event_trigger language plpgsql as"
        " 'begin raise exception ''no ddl here''; end'",
        "create event trigger never on ddl_command_start execute function refuse()",
    )
    assert bad(await copy17.checks()) == {}
