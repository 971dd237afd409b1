"""migration.apply: only what was rehearsed, all or nothing where it can, never more claimed than is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from actions.applying import ApplyMigration
from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.dispatch.action import Approval, Step
from console.errors import Exit, PrivilegeMissing, Refused, UsageError
from tests.integration.actions.attics import rows_logins
from tests.integration.actions.conftest import Desk, desk_on, superuser
from tests.servers.accounts import APP
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

UP = (
    "create table made (id int primary key, note varchar(20));\ninsert into made values (1, 'a;b'); -- done\n"
)
BAD = "create table made (id int primary key);\ninsert into nowhere values (1);\ncreate table later (id int);"


class Bench(Desk):
    """A database of its own, in which the operator may do everything."""

    database: str
    folder: Path

    def script(self, text: str) -> str:
        path = self.folder / f"{uuid4().hex[:8]}.sql"
        path.write_text(text)
        return str(path)

    async def run_script(self, text: str, **given: Any) -> Any:
        plan = await self.plan("migration.apply", **({"up": self.script(text), "unrehearsed": True} | given))
        return await self.yes(plan)

    async def yes(self, plan: Any, **options: Any) -> Any:
        approval = Approval(reason="a test", confirm=plan.target)
        return await self.dispatcher.apply(plan, self.engine, approval, **options)

    async def tables(self) -> set[str]:
        where = f"table_schema = '{self.database}'" if self.mysql else "table_schema = 'public'"
        rows = await superuser(
            self.server,
            f"select table_name from information_schema.tables where {where}",
            database=self.database,
        )
        return {str(name) for (name,) in rows}


@pytest_asyncio.fixture
async def bench(any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with bench_on(any_server, tmp_path, monkeypatch) as made:
        yield made


@pytest_asyncio.fixture
async def bench18(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    async with bench_on(postgres18, tmp_path, monkeypatch) as made:
        yield made


def bench_on(server: Server, folder: Path, patch: pytest.MonkeyPatch) -> Any:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opened() -> AsyncIterator[Bench]:
        database = await server.new_database()
        over = await rows_logins(server, database, patch)
        if not isinstance(server, MysqlServer):
            await superuser(
                server,
                f"grant create on schema public to {APP}",
                f"grant {APP} to dbdeck_maintainer",
                database=database,
            )
        async with desk_on(server, folder, database=database, **over) as desk:
            desk.__class__ = Bench
            assert isinstance(desk, Bench)
            desk.database, desk.folder = database, folder
            yield desk

    return opened()


async def test_each_statement_is_recorded_and_applied_and_the_checks_hold(bench: Bench) -> None:
    run = await bench.run_script(
        UP, check="select count(*) = 1 from made" if bench.mysql else "select exists (select from made)"
    )
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert run.verify is not None
    assert "all 2 statements applied, 1 check holds" in run.verify.summary
    entries = await bench.ledger.entries(kinds=(Kind.STEP,), newest_first=False)
    told = [str(entry.body) for entry in entries]
    assert any("insert into made values (1, 'a;b')" in one for one in told)


async def test_as_one_transaction_a_failure_leaves_nothing(bench18: Bench) -> None:
    run = await bench18.run_script(BAD)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.error, run.verify)
    assert run.error is not None
    assert "nowhere" in run.error.message
    assert await bench18.tables() == set()


async def test_one_by_one_it_stops_at_the_first_failure_and_says_what_stands(bench: Bench) -> None:
    run = await bench.run_script(BAD, apart=True)
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    assert run.error is not None
    assert "1 of 3 statements applied, from 2 on none" in run.error.message
    assert "begin_at=2" in run.error.hint
    assert await bench.tables() == {"made"}
    again = await bench.run_script(BAD, apart=True, begin_at=3)
    assert again.effect == "applied"
    assert again.verify is not None
    assert again.verify.summary == "statement 3 of 3 applied", "nobody applied the second one"
    assert again.verify.evidence["applied"] == 1
    assert await bench.tables() == {"made", "later"}


async def test_going_on_with_what_fails_again_claims_nothing(bench: Bench) -> None:
    run = await bench.run_script(BAD, apart=True, begin_at=2)
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.error, run.verify)
    assert run.error is not None
    assert "applied" not in run.error.message
    assert run.verify is not None
    assert run.verify.summary == "none of statements 2 to 3 applied"


async def test_what_stands_in_no_transaction_is_applied_one_by_one(bench18: Bench) -> None:
    run = await bench18.run_script("create table made (id int); create index concurrently i on made (id);")
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)


async def test_a_check_that_does_not_hold_is_told_and_takes_nothing_back(bench: Bench) -> None:
    run = await bench.run_script(UP, check="select 1 = 2")
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    assert run.verify is not None
    assert "not as wanted: select 1 = 2" in run.verify.summary
    assert "made" in await bench.tables()


async def test_a_check_that_is_not_answered_is_not_called_untrue(bench: Bench) -> None:
    run = await bench.run_script(UP, check="select count(*) from not_there")
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    assert run.verify is not None
    assert "nobody knows whether as wanted: select count(*) from not_there" in run.verify.summary
    assert "not as wanted" not in run.verify.summary


async def test_a_lock_that_comes_free_is_waited_for_in_short_tries(bench: Bench) -> None:
    await bench.run_script("create table busy (id int primary key);")
    other: Any = await bench.server.connect(database=bench.database)
    if bench.mysql:
        async with other.cursor() as cursor:
            await cursor.execute("begin")
            await cursor.execute("select * from busy")
    else:
        await other.execute("begin; lock table busy in access share mode")
    task = asyncio.create_task(bench.run_script("alter table busy add column n int;", lock_timeout="200ms"))
    await asyncio.sleep(1.5)
    assert not task.done()
    other.close() if bench.mysql else other.terminate()
    run = await task
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)


async def test_a_lock_that_never_comes_free_leaves_nothing(bench: Bench) -> None:
    await bench.run_script("create table busy (id int primary key);")
    other: Any = await bench.server.connect(database=bench.database)
    if bench.mysql:
        async with other.cursor() as cursor:
            await cursor.execute("begin")
            await cursor.execute("select * from busy")
    else:
        await other.execute("begin; lock table busy in access share mode")
    try:
        run = await bench.run_script("alter table busy add column n int;", lock_timeout="200ms", tries=2)
    finally:
        other.close() if bench.mysql else other.terminate()
    assert (run.exit, run.effect) == (Exit.FAILED, "none"), (run.error, run.verify)


async def test_what_was_not_rehearsed_is_refused(bench: Bench) -> None:
    plan = await bench.plan("migration.apply", up=bench.script(UP))
    assert "no rehearsal of exactly this script" in plan.refusals[0]
    with pytest.raises(Refused):
        await bench.yes(plan)
    assert await bench.tables() == set()


async def test_a_script_that_was_applied_here_before_is_told_with_when_and_by_whom(bench: Bench) -> None:
    """Only the server told it, at the first statement; and a plan that was saved before still holds."""
    up, down = bench.script("create table made (id int);"), bench.script("drop table made;")
    given = {"up": up, "down": down, "unrehearsed": True}
    saved = await bench.plan("migration.apply", **given)
    assert not any("applied here before" in one for one in (*saved.warnings, *saved.forecast))
    run = await bench.yes(saved)
    assert run.effect == "applied"
    again = await bench.plan("migration.apply", **given)
    assert again.hash == saved.hash
    (said,) = [one for one in again.warnings if "exactly this script was applied here before" in one]
    (outcome,) = await bench.ledger.entries(kinds=(Kind.OUTCOME,))
    by = fields(outcome.body)["operator"]
    assert f"{outcome.at:%Y-%m-%d %H:%M} UTC by {by} (action {run.action_id})" in said
    assert "since then" not in said
    moved = bench.script("create table made (id int);")
    other = await bench.plan("migration.apply", up=moved, unrehearsed=True)
    assert any("applied here before" in one for one in other.warnings), "its contents count, not its name"


async def test_all_intents_are_searched_once_for_what_was_applied_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger is long; and what is only told is not looked for again before it is applied."""
    up, down = bench.script("create table made (id int);"), bench.script("drop table made;")
    given = {"up": up, "down": down, "unrehearsed": True}
    for revert in (False, True):
        await bench.yes(await bench.plan("migration.apply", **given, revert=revert))
    asked: list[dict[str, Any]] = []
    entries = bench.ledger.entries

    async def noted(**query: Any) -> list[Entry]:
        asked.append(query)
        return await entries(**query)

    monkeypatch.setattr(bench.ledger, "entries", noted)

    def searches() -> int:
        return sum(one.get("kinds") == (Kind.INTENT,) and one.get("limit") is None for one in asked)

    plan = await bench.plan("migration.apply", **given)
    assert any("since then" in one for one in plan.forecast)
    assert searches() == 1, asked
    asked.clear()
    assert (await bench.yes(plan)).effect == "applied"
    assert searches() == 0, asked


@pytest.mark.parametrize("known", [True, False])
async def test_a_ledger_that_does_not_tell_of_rehearsals_is_not_one_that_has_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    entries = bench.ledger.entries

    async def forbidden(**query: Any) -> list[Entry]:
        if query.get("containing"):
            raise PrivilegeMissing("this login may only write")
        return await entries(**query)

    if not known:
        monkeypatch.setattr(bench.ledger, "entries", forbidden)
    plan = await bench.plan("migration.apply", up=bench.script(UP))
    (said,) = plan.refusals
    assert ("the ledger knows no rehearsal" in said, "the ledger does not tell" in said) == (known, not known)


async def test_a_script_that_was_taken_back_is_no_warning(bench: Bench) -> None:
    up, down = bench.script("create table made (id int);"), bench.script("drop table made;")
    given = {"up": up, "down": down, "unrehearsed": True}
    for revert in (False, True):
        run = await bench.yes(await bench.plan("migration.apply", **given, revert=revert))
        assert run.effect == "applied"
    plan = await bench.plan("migration.apply", **given)
    assert not any("applied here before" in one for one in plan.warnings)
    assert any("since then" in one and Path(down).name in one for one in plan.forecast)
    back = await bench.plan("migration.apply", **given, revert=True)
    assert any("exactly this script was applied here before" in one for one in back.warnings)


async def test_what_failed_with_nothing_left_was_not_applied_and_a_part_is_one(bench: Bench) -> None:
    nothing = "insert into nowhere values (1);"
    assert (await bench.run_script(nothing)).effect == "none"
    plan = await bench.plan("migration.apply", up=bench.script(nothing), unrehearsed=True)
    assert not any("applied here before" in one for one in plan.warnings)
    assert (await bench.run_script(BAD, apart=True)).exit == Exit.PARTIAL
    plan = await bench.plan("migration.apply", up=bench.script(BAD), unrehearsed=True, apart=True)
    assert any("exactly this script was applied here before: in part 2" in one for one in plan.warnings)


async def test_a_way_back_that_cannot_be_read_is_told_and_stops_nothing(bench: Bench) -> None:
    plan = await bench.plan(
        "migration.apply", up=bench.script(UP), down=str(bench.folder / "none.sql"), unrehearsed=True
    )
    assert any("the other way: " in one and "none.sql cannot be read" in one for one in plan.warnings)
    assert (await bench.yes(plan)).effect == "applied"


async def test_a_script_with_a_password_is_refused_and_stands_nowhere(bench: Bench) -> None:
    word = "s3cret-Canary"
    text = f"create user x identified by '{word}';" if bench.mysql else f"create role x password '{word}';"
    with pytest.raises(UsageError, match="password") as refused:
        await bench.plan("migration.apply", up=bench.script(text), unrehearsed=True)
    assert word not in str(refused.value)


async def test_the_end_of_a_transaction_is_known_by_its_number(bench18: Bench) -> None:
    """A run that died while it committed: the server tells; one that died before certainly did not."""
    plan = await bench18.plan("migration.apply", up=bench18.script(UP), unrehearsed=True)
    ((number,),) = await superuser(bench18.server, "select pg_current_xact_id()::text")
    steps = [
        Step(subject=0, answer=None),
        Step(subject=1, answer=None),
        Step(subject=2, answer=f"transaction {number}"),
    ]
    action = ApplyMigration()
    early = await action.verify_steps(plan, bench18.engine, steps, patience=0)
    assert (early.state, early.certain) == ("not_applied", True)
    late = await action.verify_steps(plan, bench18.engine, [*steps, Step(subject=3)], patience=0)
    assert (late.state, late.certain) == ("applied", True)
    gone = msgspec.structs.replace(steps[2], answer="transaction 99999999999")
    lost = await action.verify_steps(plan, bench18.engine, [*steps[:2], gone, Step(subject=3)], patience=0)
    assert lost.state == "undecidable"


async def test_one_by_one_a_lost_answer_is_not_guessed(bench: Bench) -> None:
    plan = await bench.plan("migration.apply", up=bench.script(UP), unrehearsed=True, apart=True)
    steps = [Step(subject=1, answer="done"), Step(subject=2)]
    found = await ApplyMigration().verify_steps(plan, bench.engine, steps, patience=0)
    assert found.state == "undecidable"


async def test_checks_claim_nothing_for_statements_that_were_never_sent(bench: Bench) -> None:
    plan = await bench.plan(
        "migration.apply", up=bench.script(BAD), unrehearsed=True, apart=True, check="select 1 = 1"
    )
    steps = [Step(subject=1, answer="done"), Step(subject=2)]
    found = await ApplyMigration().verify_steps(plan, bench.engine, steps, patience=0)
    assert found.state == "undecidable"
    assert "statement 2 of 3" in found.summary
    last = await ApplyMigration().verify_steps(plan, bench.engine, [*steps, Step(subject=3)], patience=0)
    assert last.state == "applied"


async def test_the_last_try_of_a_transaction_is_the_one_that_counts(bench18: Bench) -> None:
    plan = await bench18.plan("migration.apply", up=bench18.script(UP), unrehearsed=True)
    ((number,),) = await superuser(bench18.server, "select pg_current_xact_id()::text")
    first, second = Step(subject=2, answer="transaction 99999999999"), f"transaction {number}"
    steps = [first, Step(subject=3), Step(subject=2, answer=second), Step(subject=3)]
    found = await ApplyMigration().verify_steps(plan, bench18.engine, steps, patience=0)
    assert found.state == "applied"


async def test_what_is_no_transaction_is_not_tried_again_after_a_lock(bench18: Bench) -> None:
    """A second CREATE INDEX CONCURRENTLY IF NOT EXISTS would find the invalid one of the first."""
    await bench18.run_script("create table busy (id int primary key);")
    other: Any = await bench18.server.connect(database=bench18.database)
    await other.execute("begin; insert into busy values (1)")
    script = "create index concurrently if not exists i on busy (id);"
    try:
        run = await bench18.run_script(script, lock_timeout="200ms", tries=3)
    finally:
        other.terminate()
    assert (run.exit, run.effect) == (Exit.PARTIAL, "applied"), (run.error, run.verify)
    assert run.verify is not None
    assert "invalid index" in run.verify.summary


async def test_a_script_that_changes_while_it_is_read_is_one_text_by_one_sum(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.script(UP)
    reads: list[bytes] = [UP.encode(), b"drop table made"]
    monkeypatch.setattr(Path, "read_bytes", lambda _: reads.pop(0))
    plan = await bench.plan("migration.apply", up=path, unrehearsed=True)
    assert not any("drop" in one for one in plan.statements)
    assert reads
