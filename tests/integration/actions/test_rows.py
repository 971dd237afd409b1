"""rows.purge and rows.sweep_orphans: rows go in batches, archived in the same transaction, never twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from actions import batches, ladder
from console.dispatch.action import Approval, Stop, Watch
from console.errors import Exit, Refused, UsageError
from tests.integration.actions.attics import NEW, OLD, fill, rows_logins
from tests.integration.actions.conftest import Desk, desk_on, superuser, until
from tests.servers.accounts import APP
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

WANTED = {"table": "events", "column": "at", "older_than": "30d"}


class Attic(Desk):
    """A table `events` with old and new rows, indexed by time, and `attic` beside it."""

    database: str

    async def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        reads = all(one.startswith("select") for one in statements)
        role = [] if self.mysql or reads else [f"set role {APP}"]
        return await superuser(self.server, *role, *statements, database=self.database)

    async def count(self, table: str) -> int:
        ((number,),) = await self.sql(f"select count(*) from {table}")
        return int(number)

    async def purge(self, **given: Any) -> Any:
        plan = await self.plan("rows.purge", **(WANTED | given))
        return await self.yes(plan)

    async def yes(self, plan: Any, **options: Any) -> Any:
        approval = Approval(reason="a test", confirm=plan.target)
        return await self.dispatcher.apply(plan, self.engine, approval, **options)


@pytest_asyncio.fixture
async def attic(any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attic]:
    database = await any_server.new_database()
    await fill(any_server, database)
    over = await rows_logins(any_server, database, monkeypatch)
    async with desk_on(any_server, tmp_path, database=database, **over) as desk:
        desk.__class__ = Attic
        assert isinstance(desk, Attic)
        desk.database = database
        yield desk


async def test_old_rows_are_archived_and_deleted_batch_by_batch(attic: Attic) -> None:
    run = await attic.purge(archive="attic", create_archive=True, batch=1000, pause=0)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert run.verify is not None
    told = run.verify.evidence
    assert (told["deleted"], told["archived"], told["batches"], told["left"]) == (OLD, OLD, 3, 0)
    assert (await attic.count("events"), await attic.count("attic")) == (NEW, OLD)
    ((rows, ids),) = await attic.sql("select count(*), count(distinct id) from attic where note = 'old'")
    assert (rows, ids) == (OLD, OLD)
    kinds = await attic.kinds()
    assert kinds.count("step") == 4  # the archive, and three batches
    again = await attic.purge(archive="attic")
    assert (again.exit, again.effect) == (Exit.OK, "no_op")


async def test_at_most_so_many_go(attic: Attic) -> None:
    run = await attic.purge(batch=300, limit=700, pause=0)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert await attic.count("events") == OLD + NEW - 700
    ((newer,),) = await attic.sql("select count(*) from events where note = 'new'")
    assert newer == NEW
    with pytest.raises(UsageError, match="all of action"):
        await attic.dispatcher.resume(run.action_id, attic.engine)


async def test_what_goes_on_after_a_stop_takes_no_more_than_were_asked_for(attic: Attic) -> None:
    plan = await attic.plan("rows.purge", **WANTED, batch=100, limit=700, pause="200ms")
    stop = Stop()
    task = asyncio.create_task(attic.yes(plan, watch=Watch(seconds=0.0, stop=stop)))

    async def some() -> bool:
        return (await attic.kinds()).count("step") > 2

    await until(some)
    stop.ask("the test")
    run = await task
    assert run.exit == Exit.PARTIAL, (run.error, run.verify)
    rest = await attic.dispatcher.resume(run.action_id, attic.engine)
    assert (await attic.yes(rest)).effect == "applied"
    assert await attic.count("events") == OLD + NEW - 700


async def test_what_is_gone_for_good_wants_the_name_typed(attic: Attic) -> None:
    plan = await attic.plan("rows.purge", **WANTED)
    assert plan.confirm
    assert "gone" in plan.undo
    with pytest.raises(Refused):
        await attic.apply(plan)
    assert await attic.count("events") == OLD + NEW


async def test_it_stops_between_two_batches_and_goes_on_where_it_stopped(attic: Attic) -> None:
    plan = await attic.plan(
        "rows.purge", **WANTED, archive="attic", create_archive=True,
        batch=100, pause="200ms",
    )  # fmt: skip
    stop = Stop()
    task = asyncio.create_task(attic.yes(plan, watch=Watch(seconds=0.0, stop=stop)))

    async def some() -> bool:
        return (await attic.kinds()).count("step") > 3

    await until(some)
    stop.ask("the test")
    run = await task
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    left, kept = await attic.count("events"), await attic.count("attic")
    assert 0 < kept < OLD
    assert left + kept == OLD + NEW
    rest = await attic.dispatcher.resume(run.action_id, attic.engine)
    assert (await attic.yes(rest)).effect == "applied"
    assert (await attic.count("events"), await attic.count("attic")) == (NEW, OLD)


async def test_without_an_index_it_is_refused_unless_told(attic: Attic) -> None:
    drop = "drop index by_time on events" if attic.mysql else "drop index by_time"
    await attic.sql(drop)
    plan = await attic.plan("rows.purge", **WANTED)
    assert "no index begins with at" in plan.refusals[0]
    assert (await attic.purge(unindexed=True, pause=0)).effect == "applied"
    assert await attic.count("events") == NEW


async def test_foreign_keys_that_would_delete_elsewhere_are_named_and_refused(attic: Attic) -> None:
    await attic.sql(
        "create table details (id int primary key, event int not null, constraint of_event "
        "foreign key (event) references events (id) on delete cascade)",
        "insert into details values (1, 1)",
    )
    plan = await attic.plan("rows.purge", **WANTED)
    assert "of_event" in plan.refusals[0]
    with pytest.raises(Refused, match="cascade=true"):
        await attic.yes(plan)
    assert (await attic.purge(cascade=True, pause=0)).effect == "applied"
    assert await attic.count("details") == 0


async def test_an_archive_with_other_columns_is_refused_before_anything_happens(attic: Attic) -> None:
    await attic.sql("create table attic (id int, note text)")
    with pytest.raises(UsageError, match="not the same columns: at"):
        await attic.plan("rows.purge", **WANTED, archive="attic")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"table": "nothing"}, "no table 'nothing'"),
        ({"column": "note"}, "no date or time"),
        ({"column": "nope"}, "no column 'nope'"),
        ({"archive": "events"}, "the table itself"),
        ({"archive": "nowhere"}, "no table nowhere|no table .*nowhere"),
    ],
)
async def test_what_does_not_fit_is_told_when_it_is_planned(
    attic: Attic, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        await attic.plan("rows.purge", **(WANTED | given))


async def test_an_archive_that_refuses_a_row_keeps_the_whole_batch(attic: Attic) -> None:
    """The archive has a row of that key already: nothing of the batch is deleted."""
    kind = "datetime(6)" if attic.mysql else "timestamptz"
    await attic.sql(f"create table attic (id int primary key, at {kind} not null, note text)")
    await attic.sql("insert into attic select id, at, note from events where id = 1500")
    run = await attic.purge(archive="attic", batch=1000, pause=0)
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    assert (await attic.count("events"), await attic.count("attic")) == (OLD + NEW - 1000, 1001)


async def test_rows_that_others_hold_are_left(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL leaves them for the next run; MySQL and MariaDB wait for a while, and stop."""
    monkeypatch.setattr(batches, "rungs", lambda *_: iter([ladder.Rung(1.0, 0.0)]))
    connection: Any = await attic.server.connect(database=attic.database)
    hold = "update events set note = 'held' where id = 1"
    try:
        if isinstance(attic.server, MysqlServer):
            async with connection.cursor() as cursor:
                await cursor.execute("begin")
                await cursor.execute(hold)
            run = await attic.purge(batch=5000, pause=0)
            assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.error, run.verify)
            assert await attic.count("events") == OLD + NEW
            return
        await connection.execute("begin")
        await connection.execute(hold)
        run = await attic.purge(batch=5000, pause=0)
        assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
        assert await attic.count("events") == NEW + 1
    finally:
        end = connection.terminate if isinstance(attic.server, PostgresServer) else connection.close
        end()


async def test_a_trigger_finds_its_own_names(attic: Attic) -> None:
    """On PostgreSQL, where an operator's own search_path would hide them."""
    await attic.sql("create table gone (id int)")
    if attic.mysql:
        await attic.sql(
            "create trigger noted before delete on events for each row insert into gone values (old.id)"
        )
    else:
        await attic.sql(
            "create function note_it() returns trigger language plpgsql as "
            "'begin insert into gone values (old.id); return old; end'",
            "create trigger noted before delete on events for each row execute function note_it()",
        )
    plan = await attic.plan("rows.purge", **WANTED, limit=10)
    assert any("triggers run for each row: noted" in one for one in plan.warnings) or attic.mysql
    assert (await attic.yes(plan)).effect == "applied"
    assert await attic.count("gone") == 10


# ---- orphans -------------------------------------------------------------------------------------


async def family(attic: Attic) -> None:
    await attic.sql(
        "create table parents (id int primary key)",
        "create table children (id int primary key, parent_id int, note text)",
        "insert into parents values (1), (2)",
        "insert into children values (1, 1, 'a'), (2, 2, 'b'), (3, 7, 'lost'), (4, null, ''), (5, 8, 'lost')",
    )


ORPHANS = {"table": "children", "column": "parent_id", "parent": "parents", "parent_column": "id"}


async def test_rows_without_a_parent_are_archived_and_deleted(attic: Attic) -> None:
    await family(attic)
    plan = await attic.plan("rows.sweep_orphans", **ORPHANS, archive="lost", create_archive=True)
    assert "2 rows" in plan.forecast[0]
    assert "(id=3)" in " ".join(plan.forecast)
    run = await attic.yes(plan)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert [int(row[0]) for row in await attic.sql("select id from children order by 1")] == [1, 2, 4]
    assert [int(row[0]) for row in await attic.sql("select id from lost order by 1")] == [3, 5]


async def test_a_parent_without_an_index_is_refused_unless_told(attic: Attic) -> None:
    await family(attic)
    await attic.sql("create table parents2 (id int)", "insert into parents2 values (1)")
    plan = await attic.plan("rows.sweep_orphans", **(ORPHANS | {"parent": "parents2"}))
    assert "no index of" in plan.refusals[0]


async def test_odd_names_are_quoted(attic: Attic) -> None:
    quote = "`" if attic.mysql else '"'
    kind = "datetime" if attic.mysql else "timestamptz"
    table, column = f"{quote}odd; drop{quote}", f"{quote}the at{quote}"
    await attic.sql(
        f"create table {table} (id int primary key, {column} {kind})",
        f"create index odd_at on {table} ({column})",
        f"insert into {table} values (1, '2001-01-01'), (2, null)",
    )
    run = await attic.purge(table='"odd; drop"', column="the at", pause=0)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert await attic.count(table) == 1


# ---- what must not be lost, nor taken for old or for missing -----------------------------------------


async def test_a_row_that_the_archive_drops_in_silence_stays(attic: Attic) -> None:
    if attic.mysql:
        pytest.skip("no trigger of it can drop a row in silence")
    await attic.sql(
        "create table attic (like events)",
        "create function drop_it() returns trigger language plpgsql as "
        "'begin if new.id = 5 then return null; end if; return new; end'",
        "create trigger dropped before insert on attic for each row execute function drop_it()",
    )
    run = await attic.purge(archive="attic", pause=0)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.error, run.verify)
    assert run.error is not None
    assert "the archive got 999 of 1000 rows" in run.error.message
    assert (await attic.count("events"), await attic.count("attic")) == (OLD + NEW, 0)


async def test_an_archive_that_a_crash_would_empty_is_refused(attic: Attic) -> None:
    if attic.mysql:
        pytest.skip("PostgreSQL only")
    await attic.sql("create unlogged table attic (like events)")
    with pytest.raises(UsageError, match="unlogged"):
        await attic.plan("rows.purge", **WANTED, archive="attic")


async def test_an_archive_that_works_a_column_out_by_itself_is_refused(attic: Attic) -> None:
    kind = "datetime(6)" if attic.mysql else "timestamptz"
    await attic.sql(f"create table attic (id int, at {kind}, note text generated always as ('other') stored)")
    with pytest.raises(UsageError, match="not the same columns: note"):
        await attic.plan("rows.purge", **WANTED, archive="attic")


async def test_a_time_that_stands_for_none_is_not_old(attic: Attic) -> None:
    if attic.mysql:
        await attic.sql(
            "set sql_mode = ''",
            "update events set at = '0000-00-00 00:00:00' where id = 1",
        )
    else:
        await attic.sql("update events set at = '-infinity' where id = 1")
    run = await attic.purge(pause=0)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert await attic.count("events where id = 1") == 1


async def test_a_row_keeps_its_number_in_the_archive(attic: Attic) -> None:
    if not attic.mysql:
        pytest.skip("0 is a number like others")
    await attic.sql("update events set id = 0 where id = 1")
    run = await attic.purge(archive="attic", create_archive=True, pause=0)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert (await attic.count("attic where id = 0"), await attic.count("attic")) == (1, OLD)


async def test_rows_of_tables_that_inherit_are_neither_counted_nor_touched(attic: Attic) -> None:
    if attic.mysql:
        pytest.skip("PostgreSQL only")
    await attic.sql(
        "create table more () inherits (events)",
        "insert into more (id, at, note) values (1, now() - interval '90 days', 'theirs')",
    )
    run = await attic.purge(pause=0)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert (await attic.count("only events"), await attic.count("more")) == (NEW, 1)


async def test_parents_that_row_security_hides_make_no_orphans(attic: Attic) -> None:
    if attic.mysql:
        pytest.skip("PostgreSQL only")
    await family(attic)
    await attic.sql(
        "alter table parents enable row level security",
        "alter table parents force row level security",
        "create policy seen on parents using (id = 1)",
    )
    plan = await attic.plan("rows.sweep_orphans", **ORPHANS)
    assert any("row security may hide parents" in one for one in plan.warnings)
    run = await attic.yes(plan)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.error, run.verify)
    assert await attic.count("children") == 5
