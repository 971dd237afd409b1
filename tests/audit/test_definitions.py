"""`audit doctor` on every store: silent on what dbdeck made, and naming whatever somebody changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from console.audit.definitions import (
    Part,
    State,
    digest,
    earlier,
    mended,
    mysql_objects,
    postgres_functions,
    postgres_traits,
)
from console.audit.ledger import inspect, install
from console.audit.table.port import sql, statements
from console.audit.table.sqlite_rows import as_made
from console.errors import AuditUnavailable
from console.secrets import Secret
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink
from tests.command import Command
from tests.servers.accounts import APP, OPERATOR

NOW = Path(__file__).parent / "earlier" / "now.txt"


def made_now() -> str:
    """What each store is made of by this dbdeck, a line each."""
    of = {
        **{
            ("postgresql", "function", name): text
            for name, text in postgres_functions(sql("postgres.sql")).items()
        },
        **{("mysql", *key): text for key, text in mysql_objects(statements("mysql.sql")).items()},
        **{("sqlite", "definition", name): digest(text) for (_, name), text in as_made().items()},
    }
    return "".join(f"{' '.join(key)} {text}\n" for key, text in sorted(of.items()))


def test_a_definition_that_changes_leaves_its_digest_behind() -> None:
    """Move what is no longer made from now.txt to earlier.json, so that doctor knows it for dbdeck's own."""
    assert made_now() == NOW.read_text()
    for line in NOW.read_text().splitlines():
        engine, kind, name, made = line.split()
        assert made not in earlier(sql("earlier.json"), engine).get(kind, {}).get(name, ())


async def wrong(sink: Sink) -> dict[tuple[str, str], str]:
    return {(part.kind, part.name): part.state for part in await sink.parts() if part.is_wrong}


async def test_what_dbdeck_made_is_as_made(sink: Sink) -> None:
    async with sink.open():
        pass
    parts = await sink.parts()
    assert [part for part in parts if part.is_wrong or part.state == "unknown"] == []
    assert len(parts) >= 10


async def test_every_part_that_is_wrong_says_what_mends_it(sink: Sink) -> None:
    async with sink.open():
        pass
    await sink.attack()
    assert [part for part in await sink.parts() if part.is_wrong and not part.remedy] == []
    assert await wrong(sink)


SQLITE = {
    "a trigger that is gone": ("drop trigger entry_no_delete", ("definition", "entry_no_delete"), "missing"),
    "a trigger of somebody's": (
        "create trigger theirs after insert on entry begin select 1; end",
        ("definition", "theirs"), "foreign",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SQLITE)
async def test_sqlite(sqlite: SqliteSink, name: str) -> None:
    statement, part, state = SQLITE[name]
    async with sqlite.open():
        pass
    await sqlite.execute(statement)
    assert await wrong(sqlite) == {part: state}


async def test_a_file_that_others_may_read_is_told(sqlite: SqliteSink) -> None:
    async with sqlite.open():
        pass
    sqlite.path.chmod(0o644)
    assert await wrong(sqlite) == {("file", str(sqlite.path)): "changed"}


POSTGRES = {
    "a trigger that is disabled": (
        "alter table {entry} disable trigger no_change", ("trigger", "entry.no_change"), "changed",
    ),
    "a trigger that replication silences": (
        "alter table {entry} enable trigger no_truncate", ("trigger", "entry.no_truncate"), "changed",
    ),
    "a trigger that is gone": (
        "drop trigger no_change on {entry}", ("trigger", "entry.no_change"), "missing",
    ),
    "a function that was changed": (
        "create or replace function dbdeck_audit.deny() returns trigger language plpgsql"
        " set search_path = pg_catalog, pg_temp as $$ begin return old; end $$",
        ("function", "deny"), "changed",
    ),
    "a function whose search_path is open": (
        "alter function dbdeck_audit.find_key(text) reset search_path", ("function", "find_key"), "changed",
    ),
    "a function with its caller's rights": (
        "alter function dbdeck_audit.candidates() security invoker", ("function", "candidates"), "changed",
    ),
    "a function with its owner's rights": (
        "alter function dbdeck_audit.lock_key(uuid) security definer", ("function", "lock_key"), "changed",
    ),
    "a function that gives nothing for nothing": (
        "alter function dbdeck_audit.append(uuid, bigint, text, uuid, uuid, text, text, bytea, bytea) strict",
        ("function", "append"), "changed",
    ),
    "a function that is said not to write": (
        "alter function dbdeck_audit.redact(uuid, bigint) stable", ("function", "redact"), "changed",
    ),
    "a function that everybody may call": (
        "grant execute on function dbdeck_audit.find_key(text) to public", ("right", "PUBLIC"), "foreign",
    ),
    "a function of somebody's": (
        "create function dbdeck_audit.theirs() returns int language sql set search_path = pg_catalog, pg_temp"
        " return 1; revoke all on function dbdeck_audit.theirs() from public",
        ("function", "theirs"), "foreign",
    ),
    "a right to write": (f"grant insert on {{entry}} to {APP}", ("right", APP), "foreign"),
    "a member of the owner": (f"grant dbdeck_audit_owner to {APP}", ("member", APP), "foreign"),
    "a superuser who may append": (
        f"alter role {OPERATOR} superuser", ("superuser", OPERATOR), "foreign",
    ),
    "a table of somebody's": (f"alter table {{entry}} owner to {APP}", ("owner", APP), "foreign"),
    "a function that somebody has": (
        f"alter function dbdeck_audit.find_key(text) owner to {APP}", ("owner", APP), "foreign",
    ),
    "a table that a crash empties": ("alter table {entry} set unlogged", ("table", "entry"), "changed"),
    "a rule": (
        "create rule swallow as on insert to {entry} do instead nothing", ("rule", "swallow"), "foreign",
    ),
    "a trigger that lets some changes pass": (
        "drop trigger no_change on {entry}; create trigger no_change before update of seq or delete"
        " on {entry} for each row execute function dbdeck_audit.deny();"
        " alter table {entry} enable always trigger no_change",
        ("trigger", "entry.no_change"), "changed",
    ),
    "a right to write one column": (f"grant update (body) on {{entry}} to {APP}", ("right", APP), "foreign"),
    "a right to make functions": (f"grant create on schema dbdeck_audit to {APP}", ("right", APP), "foreign"),
    "row security": ("alter table {entry} enable row level security", ("policy", "entry"), "foreign"),
    "an index that is gone": (
        "drop index dbdeck_audit.entry_one_outcome", ("index", "entry_one_outcome"), "missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POSTGRES)
async def test_postgres(postgres_sink: PostgresSink, name: str) -> None:
    statement, part, state = POSTGRES[name]
    await postgres_sink.execute(statement)
    try:
        assert await wrong(postgres_sink) == {part: state}
    finally:
        await postgres_sink.execute(
            f"revoke dbdeck_audit_owner from {APP}; alter role {OPERATOR} nosuperuser"
        )


async def test_a_table_of_somebodys_is_taken_back(postgres_sink: PostgresSink) -> None:
    """What the remedy says, word by word."""
    await postgres_sink.execute(f"alter table {{entry}} owner to {APP}")
    told = [part for part in await postgres_sink.parts() if part.is_wrong]
    assert [part.remedy.partition(" as ")[0] for part in told] == ["`dbdeck audit init`"]
    await install(postgres_sink.admin)
    assert await wrong(postgres_sink) == {}


async def test_a_superuser_among_the_logins_is_taken_out(postgres_sink: PostgresSink) -> None:
    """What the remedy says. It may be the only superuser that there is, and stays one."""
    root = postgres_sink.server.superuser
    await install(postgres_sink.admin, writers=[root])
    (told,) = [part for part in await postgres_sink.parts() if part.is_wrong]
    assert (told.kind, told.name) == ("superuser", root)
    await postgres_sink.execute(told.remedy.rpartition("; ")[2])
    assert await wrong(postgres_sink) == {}


async def test_an_installer_that_may_make_no_roles_is_told_once_and_what_mends_it_does(
    postgres_sink: PostgresSink,
) -> None:
    server, name = postgres_sink.server, f"installer_{uuid4().hex[:8]}"
    sink = PostgresSink(server, await server.new_database(), postgres_sink.journal)
    await sink.execute(
        f"create role {name} login password 'x'; grant create on database {sink.database} to {name}"
    )
    await install(f"postgresql://{name}@{sink.at}", password=Secret("x"))
    (told,) = [part for part in await inspect(sink.admin) if part.name == name]
    assert (told.kind, told.state) == ("owner", "foreign")
    assert told.detail.startswith("may change as its owner: table dbdeck_audit.ledger, ")
    assert told.detail.endswith(" and 9 more")
    assert told.remedy.startswith("`dbdeck audit init` as a superuser")
    await install(sink.admin)
    assert await wrong(sink) == {}


@pytest.fixture
async def no_owner(postgres_sink: PostgresSink) -> AsyncIterator[PostgresSink]:
    """On a server where nobody made an owner yet: that of other tests has another name meanwhile."""
    server = postgres_sink.server
    sink = PostgresSink(server, await server.new_database(), postgres_sink.journal)
    await sink.execute("alter role dbdeck_audit_owner rename to owner_of_others")
    yield sink
    if await value(sink, "select 1 from pg_roles where rolname = 'dbdeck_audit_owner'"):
        await sink.execute("drop owned by dbdeck_audit_owner cascade", "drop role dbdeck_audit_owner")
    await sink.execute("alter role owner_of_others rename to dbdeck_audit_owner")


@pytest.mark.parametrize("self_grant", ["", "set, inherit"])
async def test_an_installer_gives_up_its_membership(no_owner: PostgresSink, self_grant: str) -> None:
    """It makes the owner, mends what is the owner's, and is no member of it but while it does so."""
    sink, name = no_owner, f"maker_{uuid4().hex[:8]}"
    modern = int(await value(sink, "show server_version_num")) >= 160000
    if self_grant and not modern:
        pytest.skip("createrole_self_grant came with 16")
    await sink.execute(
        f"create role {name} login createrole password 'x'",
        f"grant create on database {sink.database} to {name}",
        *([f"alter role {name} set createrole_self_grant = '{self_grant}'"] if self_grant else []),
    )
    url, root = f"postgresql://{name}@{sink.at}", sink.server.superuser
    revoke = f"REVOKE dbdeck_audit_owner FROM {name} GRANTED BY {root};"
    said = "may make itself a member of the owner dbdeck_audit_owner (ADMIN OPTION); as a superuser:"
    stays = [f"{name} {said} {revoke}"] if modern else []
    first = await install(url, password=Secret("x"))
    assert first == ["schema dbdeck_audit, owned by dbdeck_audit_owner", *stays]
    for right in ("USAGE", *(["SET"] if modern else [])):
        assert not await value(sink, f"select pg_has_role('{name}', 'dbdeck_audit_owner', '{right}')")
    left = {("member", name): "foreign"} if modern else {}
    assert await wrong(sink) == left
    await sink.execute("alter function dbdeck_audit.redact(uuid, bigint) stable")
    assert await install(url, password=Secret("x")) == stays
    assert await wrong(sink) == left
    await sink.execute(*(part.remedy for part in await sink.parts() if part.is_wrong))
    assert await wrong(sink) == {}


async def test_an_installer_that_others_made_a_member_is_told(postgres_sink: PostgresSink) -> None:
    """It may mend the ledger, and may not take from itself what a superuser gave it."""
    name = f"helper_{uuid4().hex[:8]}"
    await postgres_sink.execute(
        f"create role {name} login password 'x'",
        f"grant dbdeck_audit_owner to {name}",
        f"grant create on database {postgres_sink.database} to {name}",
    )
    try:
        told = await install(f"postgresql://{name}@{postgres_sink.at}", password=Secret("x"))
        (part,) = [part for part in await postgres_sink.parts() if part.is_wrong]
        assert (part.kind, part.name) == ("member", name)
        assert part.detail == "is a member of the owner dbdeck_audit_owner, and may change everything"
        assert told == [f"{name} {part.detail}; as a superuser: {part.remedy}"]
        await postgres_sink.execute(part.remedy)
        assert await wrong(postgres_sink) == {}
    finally:
        await postgres_sink.execute(f"revoke dbdeck_audit_owner from {name}")


async def value(sink: PostgresSink, query: str) -> Any:
    connection = await sink.server.connect(database=sink.database)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_second_function_of_one_name_is_told(postgres_sink: PostgresSink) -> None:
    await postgres_sink.execute(
        "create function dbdeck_audit.is_approved(a text, b text) returns boolean language sql"
        " set search_path = pg_catalog, pg_temp return true;"
        " revoke all on function dbdeck_audit.is_approved(text, text) from public"
    )
    assert ("function", "is_approved(a text, b text)") in await wrong(postgres_sink)


def test_each_function_has_traits() -> None:
    ddl = sql("postgres.sql")
    traits = postgres_traits(ddl)
    assert traits.keys() == postgres_functions(ddl).keys()
    assert traits["append"] == "plpgsql volatile definer"
    assert traits["lock_key"] == "sql immutable invoker"


@pytest.mark.parametrize(
    "statement",
    [
        "alter function dbdeck_audit.candidates() security invoker",
        "alter function dbdeck_audit.lock_key(uuid) security definer",
        "alter function dbdeck_audit.find_key(text) reset search_path",
        "alter function dbdeck_audit.redact(uuid, bigint) stable",
        "alter function dbdeck_audit.append(uuid, bigint, text, uuid, uuid, text, text, bytea, bytea) strict",
        f"alter function dbdeck_audit.find_key(text) owner to {APP}",
    ],
)
async def test_init_mends_what_was_altered(postgres_sink: PostgresSink, statement: str) -> None:
    await postgres_sink.execute(statement)
    assert await wrong(postgres_sink) != {}
    await install(postgres_sink.admin)
    assert await wrong(postgres_sink) == {}


MYSQL = {
    "a procedure with its caller's rights": (
        "alter procedure append_entry sql security invoker", ("procedure", "append_entry"), "changed",
    ),
    "a trigger that guards something else": (
        ("create table theirs like {entry}", "drop trigger entry_no_delete",
         "create trigger entry_no_delete before delete on theirs for each row"
         " signal sqlstate '45000' set message_text = 'the ledger is append-only (DELETE)'"),
        ("trigger", "entry_no_delete"), "changed",
    ),
    "a right to write one column": (
        f"grant update (body) on {{entry}} to {APP}@'%'", ("right", f"'{APP}'@'%'"), "foreign",
    ),
    "a trigger that is gone": ("drop trigger entry_no_update", ("trigger", "entry_no_update"), "missing"),
    "a trigger of somebody's": (
        "create trigger theirs after insert on {entry} for each row set @n = 1",
        ("trigger", "theirs"), "foreign",
    ),
    "an index that is gone": (
        "alter table {entry} drop key entry_one_key", ("index", "entry_one_key"), "missing",
    ),
    "a routine of somebody's": (
        "create procedure theirs() sql security definer select 1", ("procedure", "theirs"), "foreign",
    ),
    "a right to write": (
        f"grant delete on {{entry}} to {APP}@'%'", ("right", f"'{APP}'@'%'"), "foreign",
    ),
}  # fmt: skip


async def test_an_owner_as_whom_somebody_can_log_in_is_told_and_locked_again(mysql_sink: MysqlSink) -> None:
    unlock = "alter user dbdeck_audit_owner@localhost account unlock"
    # MySQL's accounts have comments, which stand in the same answer.
    await mysql_sink.execute(
        unlock + (" comment 'ACCOUNT LOCK'" if mysql_sink.server.flavor == "mysql" else "")
    )
    assert await wrong(mysql_sink) == {("owner", "dbdeck_audit_owner@localhost"): "changed"}
    await install(mysql_sink.admin)
    assert await wrong(mysql_sink) == {}


@pytest.mark.filterwarnings("ignore:User .* is referenced as a definer account")
async def test_an_owner_that_is_gone_is_told_and_made_again(mysql_sink: MysqlSink) -> None:
    """Nobody can append then: its rights are those of the procedures."""
    await mysql_sink.execute("drop user dbdeck_audit_owner@localhost")
    assert (await wrong(mysql_sink))["owner", "dbdeck_audit_owner@localhost"] == "missing"
    await install(mysql_sink.admin)
    assert await wrong(mysql_sink) == {}


@pytest.mark.parametrize("name", MYSQL)
async def test_mysql(mysql_sink: MysqlSink, name: str) -> None:
    statement, part, state = MYSQL[name]
    await mysql_sink.execute(*([statement] if isinstance(statement, str) else statement))
    assert await wrong(mysql_sink) == {part: state}


async def test_what_a_login_may_not_see_is_unknown_and_not_fine(mysql_sink: MysqlSink) -> None:
    parts = await inspect(mysql_sink.url, password=mysql_sink.password)
    unseen = {part.name for part in parts if part.kind == "procedure" and part.state == "unknown"}
    assert "append_entry" in unseen, OPERATOR


async def test_what_a_login_may_not_see_is_not_called_missing(mysql_sink: MysqlSink) -> None:
    """The server hides triggers and most routines from writers and auditors: nobody took them away."""
    parts = await inspect(mysql_sink.url, password=mysql_sink.password)
    assert [part for part in parts if part.is_wrong] == []
    hidden = next(part for part in parts if part.name == "entry_no_update")
    assert (hidden.state, hidden.remedy) == ("unknown", "ask as the installer of the ledger")


async def test_an_index_that_is_gone_is_missing_for_an_auditor_too(mysql_sink: MysqlSink) -> None:
    await mysql_sink.execute("alter table {entry} drop key entry_one_key")
    parts = await inspect(mysql_sink.url, password=mysql_sink.password)
    assert [part.name for part in parts if part.is_wrong] == ["entry_one_key"]


async def test_init_tells_what_it_made_again(mysql_sink: MysqlSink) -> None:
    granted = await mysql_sink.install()
    await mysql_sink.execute("drop trigger entry_no_update")
    assert await mysql_sink.install() == [
        "trigger entry_no_update, which was missing or another one",
        *granted,
    ]
    assert await wrong(mysql_sink) == {}


@pytest.mark.parametrize(
    "name", ["append_entry", "find_key", "open_candidates", "find_approvals", "redact_entry"]
)
async def test_init_gives_a_procedure_its_rights_again(mysql_sink: MysqlSink, name: str) -> None:
    """The text is as it was made: only what stands beside it tells. Who may call it may do so after it."""
    granted = await mysql_sink.install()
    await mysql_sink.execute(f"alter procedure {name} sql security invoker")
    (part,) = [part for part in await inspect(mysql_sink.admin) if part.is_wrong]
    assert (part.name, part.detail) == (name, "it no longer has its definer's rights")
    assert part.remedy.startswith("`dbdeck audit init` as the installer makes it again")
    told = f"procedure {name}, which was missing or another one"
    assert await mysql_sink.install() == [told, *granted]
    assert await wrong(mysql_sink) == {}
    assert await mysql_sink.install() == granted
    async with mysql_sink.open() as ledger:
        assert await ledger.entries() != []


async def test_init_makes_a_trigger_that_was_moved_again(mysql_sink: MysqlSink) -> None:
    statements, part, _ = MYSQL["a trigger that guards something else"]
    await mysql_sink.execute(*statements)
    assert part in await wrong(mysql_sink)
    await mysql_sink.install()
    assert await wrong(mysql_sink) == {}


def part(state: State, **over: Any) -> Part:
    return Part(kind="trigger", name="no_change", state=state, **over)


def test_nothing_is_called_mended_that_was_not_seen_to_be() -> None:
    table = Part(kind="table", name="entry", state="as made")
    before = [table, part("changed", detail="it is disabled")]
    said = "trigger no_change as dbdeck makes it: it was changed (it is disabled)"
    assert mended(before, [table, part("as made")], ()) == [said]
    assert mended([table, part("foreign")], [table], ()) == [
        "trigger no_change as dbdeck makes it: it was foreign"
    ]
    assert mended(before, [table, part("changed")], ()) == []
    assert mended(before, [table, part("unknown")], ()) == []
    assert mended(before, None, ()) == []


TOLD = {
    "alter table {entry} disable trigger no_change":
        "trigger entry.no_change as dbdeck makes it: it was changed (it is disabled)",
    "drop trigger no_truncate on {entry}":
        "trigger entry.no_truncate as dbdeck makes it: it was missing",
    "alter function dbdeck_audit.candidates() security invoker":
        "function candidates as dbdeck makes it: it was changed"
        " (it is sql stable invoker, and was made sql stable definer)",
    "drop index dbdeck_audit.entry_one_outcome":
        "index entry_one_outcome as dbdeck makes it: it was missing",
    "grant execute on function dbdeck_audit.find_key(text) to public":
        "right PUBLIC as dbdeck makes it: it was foreign (EXECUTE on dbdeck_audit.find_key)",
}  # fmt: skip


async def test_init_on_postgres_tells_what_it_mended(postgres_sink: PostgresSink) -> None:
    granted = await postgres_sink.install()
    assert not any(" as dbdeck makes it" in line for line in granted)
    await postgres_sink.execute(*TOLD)
    assert sorted(await postgres_sink.install()) == sorted([*TOLD.values(), *granted])
    assert await wrong(postgres_sink) == {}
    assert await postgres_sink.install() == granted


@pytest.mark.parametrize(
    "statement",
    [
        "alter table {entry} drop constraint entry_writer_seq",
        "alter table {entry} drop constraint entry_writer_prev",
        "alter table {entry} drop constraint entry_one_key",
        "alter table {entry} drop constraint entry_pkey",
        "drop index dbdeck_audit.entry_one_intent; create index entry_one_intent on {entry} (action_id)",
        "drop index dbdeck_audit.entry_one_outcome;"
        " create unique index entry_one_outcome on {entry} (action_id) where kind = 'refused'",
        "alter table {entry} set unlogged",
        f"grant insert on {{entry}} to {APP}",
        f"grant update (body) on {{entry}} to {APP}",
    ],
)
async def test_what_init_cannot_mend_names_the_statement_that_does(
    postgres_sink: PostgresSink, statement: str
) -> None:
    await postgres_sink.execute(statement)
    granted = await postgres_sink.install()
    (part,) = [part for part in await postgres_sink.parts() if part.is_wrong]
    assert not any(part.name in line for line in granted if " as dbdeck makes it" in line)
    await postgres_sink.execute(part.remedy.partition("; ")[0].removesuffix(";"))
    await postgres_sink.install()
    assert await wrong(postgres_sink) == {}


async def test_a_part_that_cannot_be_replaced_is_told_with_what_takes_it_away(
    postgres_sink: PostgresSink,
) -> None:
    await postgres_sink.execute(
        "drop function dbdeck_audit.find_key(text)",
        "create function dbdeck_audit.find_key(text) returns text language sql"
        " set search_path = pg_catalog, pg_temp return ''",
    )
    with pytest.raises(AuditUnavailable, match="nothing was made or mended") as caught:
        await postgres_sink.install()
    assert caught.value.hint == "Use DROP FUNCTION dbdeck_audit.find_key(text); then again"
    await postgres_sink.execute("drop function dbdeck_audit.find_key(text)")
    await postgres_sink.install()
    assert await wrong(postgres_sink) == {}


async def test_init_on_sqlite_tells_what_it_mended(sqlite: SqliteSink) -> None:
    async with sqlite.open():
        pass
    await sqlite.execute("drop trigger entry_no_delete")
    assert await install(sqlite.url) == ["trigger entry_no_delete, which was missing or another one"]
    assert await install(sqlite.url) == []


async def test_the_command_names_what_is_left(mysql_sink: MysqlSink, tmp_path: Path) -> None:
    await mysql_sink.execute(
        "drop trigger entry_no_update", f"grant delete on {{entry}} to {APP}@'%'",
        "create trigger theirs after insert on {entry} for each row set @n = 1",
    )  # fmt: skip
    done = await Command(tmp_path, {}, url=mysql_sink.admin).run("audit", "init")
    assert done.code == 0, done
    assert "trigger entry_no_update, which was missing or another one\n" in done.out
    assert "trigger theirs: foreign, dbdeck did not make it" in done.out
    assert f"REVOKE DELETE ON {mysql_sink.database}.entry FROM '{APP}'@'%';".lower() in done.out.lower()
    assert set(await wrong(mysql_sink)) == {("trigger", "theirs"), ("right", f"'{APP}'@'%'")}
