"""What is in a database: all of it, named, and the same after a dump and a restore."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from console.model.inventory import Inventory, differences
from tests.integration.postgres.conftest import Desk
from tests.integration.postgres.kitchen import SINK, copied, fill


async def inventory(desk: Desk, database: str = "") -> Inventory:
    return await desk.engine.inventory(database or desk.database)


def renamed(one: Inventory, before: str, after: str) -> Inventory:
    """Settings name their database."""
    objects = {
        kind: {name.replace(before, after): found for name, found in names.items()}
        for kind, names in one.objects.items()
    }
    return msgspec.structs.replace(one, database=after, objects=objects)


EXPECTED = {
    "table": {"shop.customers", "shop.orders", '"Odd Schema"."a.b ""c"', "shop.nothing", "shop.cache"},
    "partition": {"shop.orders_old", "shop.orders_new"},
    "foreign table": {"shop.far"},
    "view": {"shop.recent", "shop.safe"},
    "materialized view": {"shop.totals"},
    "sequence": {"shop.tickets", "shop.orders_id_seq", "shop.customers_id_seq"},
    "index": {"shop.customers_lower", "shop.customers_trgm", "shop.orders_new_customer_id_idx"},
    "function": {"shop.tax(numeric)", "shop.stamp()"},
    "procedure": {"shop.tidy(integer)"},
    "aggregate": {"shop.product(numeric)"},
    "primary key": {"shop.customers.customers_pkey", "shop.orders_new.orders_new_pkey"},
    "foreign key": {"shop.orders.orders_customer_id_fkey"},
    "unique constraint": {"shop.customers.customers_mail_key"},
    "check constraint": {"shop.customers.customers_status_check", "shop.child.later",
                         "shop.email.email_check"},
    "exclusion constraint": {"shop.rooms.rooms_during_excl"},
    "trigger": {"shop.customers.stamped", "shop.orders.part", "shop.orders_new.part"},
    "event trigger": {"watcher"},
    "rule": {"shop.child.quiet"},
    "policy": {"shop.customers.own"},
    "type": {"shop.pair", "shop.span"},
    "domain": {"shop.email"},
    "enum": {"shop.mood"},
    "schema": {"shop", "public", "tools", '"Odd Schema"'},
    "extension": {"pg_trgm", "postgres_fdw", "plpgsql"},
    "publication": {"news"},
    "subscription": {"tidings"},
    "foreign server": {"other"},
    "user mapping": {"for app_user on other"},
    "statistics object": {"shop.dependent"},
    "collation": {"shop.plain"},
    "text search configuration": {"shop.words"},
    "text search dictionary": {"shop.stems"},
    "operator": {"shop.===(integer, integer)"},
    "cast": {"(shop.mood as integer)"},
    "large objects": {"of postgres"},
    "grant": {
        "schema shop to app_user", "table shop.customers to app_user",
        "column shop.customers.mood to app_user",
        "sequence shop.tickets to PUBLIC", "function shop.tax(numeric) to PUBLIC",
        "function pg_catalog.pg_stat_reset() to app_user",
    },
    "default privilege": {
        "default of postgres for tables in schema shop to app_user",
        "default of postgres for functions to PUBLIC",
    },
}  # fmt: skip


async def test_every_kind_of_object_is_named(desk: Desk) -> None:
    await fill(desk.server, desk.database)
    found = await inventory(desk)
    assert (found.flavor, found.version, found.unseen) == ("postgresql", desk.server.major, {})
    missing = {kind: names - found.objects.get(kind, {}).keys() for kind, names in EXPECTED.items()}
    assert {kind: names for kind, names in missing.items() if names} == {}
    assert f"database {desk.database}: work_mem" in found.objects["setting"]
    assert f"role app_user database {desk.database}: search_path" in found.objects["setting"]


async def test_what_extensions_and_the_server_itself_bring_is_not_in_it(desk: Desk) -> None:
    await desk.run("create extension pg_trgm", "create temp table passing (id int primary key)")
    found = await inventory(desk)
    assert set(found.objects) == {"schema", "extension"} | ({"grant"} if "grant" in found.objects else set())
    assert set(found.objects.get("grant", ())) <= {
        "schema public to PUBLIC",
        "schema public to pg_database_owner",
    }


async def test_a_dump_that_was_restored_holds_the_same(desk: Desk, tmp_path: Path) -> None:
    plain = tuple(sql for sql in SINK if not sql.startswith("alter database") and " in database " not in sql)
    await fill(desk.server, desk.database, plain)
    copy = await copied(desk.server, desk.database, tmp_path)
    difference = differences(await inventory(desk), await inventory(desk, copy))
    assert not difference, difference


BROKEN = (
    ("drop view shop.recent", "missing", ("view", "shop.recent")),
    ("drop function shop.moody(shop.mood) cascade", "missing", ("cast", "(shop.mood as integer)")),
    ("alter table shop.customers enable trigger stamped", "changed", ("trigger", "shop.customers.stamped")),
    ("drop trigger stamped on shop.customers", "missing", ("trigger", "shop.customers.stamped")),
    ("revoke usage on schema shop from app_user", "missing", ("grant", "schema shop to app_user")),
    ("revoke insert on shop.customers from app_user", "changed",
     ("grant", "table shop.customers to app_user")),
    ("grant execute on function shop.tax(numeric) to public", "missing",
     ("grant", "function shop.tax(numeric) to PUBLIC")),
    ("alter table shop.customers disable row level security", "changed", ("table", "shop.customers")),
    ("alter table shop.customers alter mood set default 'sad'", "changed", ("table", "shop.customers")),
    ("alter table shop.orders_old alter tags set not null", "changed", ("partition", "shop.orders_old")),
    ("alter table shop.child validate constraint later", "changed", ("check constraint", "shop.child.later")),
    ("alter sequence shop.tickets increment 6", "changed", ("sequence", "shop.tickets")),
    ("alter type shop.mood add value 'glad' before 'happy'", "changed", ("enum", "shop.mood")),
    ("create or replace function shop.tax(numeric) returns numeric language sql immutable as 'select $1'",
     "changed", ("function", "shop.tax(numeric)")),
    ("alter view shop.safe reset (security_barrier)", "changed", ("view", "shop.safe")),
    ("alter table shop.customers owner to app_user", "changed", ("table", "shop.customers")),
    ("drop index shop.customers_lower", "missing", ("index", "shop.customers_lower")),
    ("alter default privileges grant execute on functions to public", "missing",
     ("default privilege", "default of postgres for functions to PUBLIC")),
    ("create table shop.extra (id int)", "more", ("table", "shop.extra")),
    ("select lo_unlink(oid) from pg_largeobject_metadata", "missing", ("large objects", "of postgres")),
)  # fmt: skip


async def test_each_change_is_named(desk: Desk) -> None:
    await fill(desk.server, desk.database)
    before = await inventory(desk)
    for sql, how, which in BROKEN:
        await desk.run(sql)
        after = await inventory(desk)
        assert which in getattr(differences(before, after), how), sql
        before = after


async def test_an_invalid_index_is_a_kind_of_its_own(desk: Desk) -> None:
    await desk.run("create table t (id int)", "insert into t values (1), (1)")
    with pytest.raises(Exception, match="could not create unique index"):
        await desk.admin.execute("create unique index concurrently twice on t (id)")
    found = await inventory(desk)
    assert found.objects["invalid index"].keys() == {"public.twice"}
    assert "index" not in found.objects


async def test_roles_memberships_and_databases_belong_to_the_server(desk: Desk) -> None:
    await desk.run(
        "drop role if exists clerks", "create role clerks valid until '2030-01-01'",
        "grant clerks to app_user",
        "alter role clerks set work_mem = '1MB'", f"grant connect on database {desk.database} to clerks",
    )  # fmt: skip
    try:
        found = await desk.engine.inventory("")
        assert {"clerks", "app_user", "postgres"} <= found.objects["role"].keys()
        assert "app_user in clerks" in found.objects["membership"]
        assert desk.database in found.objects["database"]
        assert f"database {desk.database} to clerks" in found.objects["grant"]
        assert "role clerks: work_mem" in found.objects["setting"]
        await desk.run("alter role clerks createdb", "revoke clerks from app_user")
        difference = differences(found, await desk.engine.inventory(""))
        assert ("role", "clerks") in difference.changed
        assert ("membership", "app_user in clerks") in difference.missing
    finally:
        await desk.run(f"revoke all on database {desk.database} from clerks", "drop role clerks")


async def test_a_password_changes_no_fingerprint(desk: Desk) -> None:
    await fill(desk.server, desk.database)
    before, server = await inventory(desk), await desk.engine.inventory("")
    await desk.run(
        "alter user mapping for app_user server other options (set password 'another')",
        "alter subscription tidings connection 'host=elsewhere password=another dbname=x'",
        "drop role if exists keyed", "create role keyed password 'one'",
    )  # fmt: skip
    assert not differences(before, await inventory(desk))
    one = await desk.engine.inventory("")
    await desk.run("alter role keyed password 'two'")
    assert not differences(one, await desk.engine.inventory(""))
    await desk.run("drop role keyed")
    assert not differences(server, await desk.engine.inventory(""))


async def test_catalogs_that_are_shut_are_unseen_with_the_grant(desk: Desk) -> None:
    await desk.run("create table t (id int)", "revoke select on pg_proc from public")
    found = await inventory(desk)
    assert found.unseen["function"].startswith("GRANT SELECT ON pg_catalog.pg_proc")
    assert found.unseen["function"].endswith("TO dbdeck_monitor;")
    assert "public.t" in found.objects["table"]
    full = await inventory(desk)
    assert not differences(found, full)


async def test_it_waits_for_nobody_for_long_and_says_what_it_did_not_see(desk: Desk) -> None:
    await desk.run("create table t (id int)", "create view v as select id from t")
    other = await desk.session()
    async with other.transaction():
        await other.execute("lock table t in access exclusive mode")
        found = await inventory(desk)
    assert found.unseen.keys() == {"view", "materialized view"}
    assert "somebody locks" in found.unseen["view"]
    assert "public.t" in found.objects["table"]
