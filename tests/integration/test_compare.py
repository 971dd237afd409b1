"""`audit compare` on real servers: all that dbdeck does is declared, and the same by hand is listed, once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from console.dispatch.scratch import ScratchServer, start, stop
from console.model.effects import Standing
from tests.command import Command
from tests.integration.comparing import (
    TABLES,
    WATCHER,
    Bench,
    bench_on,
    keep,
    logging_server,
    names,
    postgres_target,
    psql,
    session,
    settle,
    undeclared,
)

BEFORE = (
    *WATCHER,
    *TABLES,
    "create role app login password 'f1rst-Passw0rd'",
    "create role shop login",
    "create table events (id int primary key, at timestamptz)",
    "create index events_at on events (at)",
    "grant select on events to watcher",
    "insert into events values (1, now() - interval '9 days'), (2, now())",
    "create role leaver login",
    "create role readers",
    "grant readers to leaver",
    "create role locked login password 'x'",
    "select pg_create_physical_replication_slot('standby1', true)",
    "alter system set work_mem = '5MB'",
    "select pg_reload_conf()",
)
SERVERS = (("pg15", "stderr"), ("pg18", "jsonlog"), ("pg18", "csvlog"))


@pytest_asyncio.fixture(params=SERVERS, ids="-".join)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[ScratchServer]:
    name, form = request.param
    if name not in str(request.config.getoption("--servers")):
        pytest.skip(f"{name} is not among --servers")
    async with logging_server(name, form) as made:
        await psql(made, *BEFORE)
        with contextlib.suppress(asyncpg.PostgresError):
            await psql(made, "create unique index concurrently orders_bad on orders (n)")
        await psql(made, "begin", "insert into aside values (1)", "prepare transaction 'left over'")
        yield made


@pytest_asyncio.fixture
async def bench(server: ScratchServer, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_on(postgres_target(server), tmp_path) as made:
        await keep(made, "app", "f1rst-Passw0rd")
        yield made


async def act_on_postgres(bench: Bench, server: ScratchServer, folder: Path) -> None:
    """Each registered action that leaves something which a server shows."""
    await bench.run("transaction.rollback_prepared", gid="left over")
    await bench.run("setting.set", name="maintenance_work_mem", value="70MB", scope="server")
    await bench.run("setting.set", name="log_min_duration_statement", value="1s", role="app")
    await bench.run("setting.set", name="statement_timeout", value="9s", database="postgres")
    await bench.run("setting.set", name="search_path", value="public", role="app", database="postgres")
    await bench.run("setting.set", name="max_connections", value="90", scope="server")
    await bench.run("setting.reset", name="work_mem", scope="server")
    await bench.run("index.create", table="orders", column=["note"], name="orders_note")
    await bench.run("index.reindex", index="orders_n")
    await bench.run("index.drop_invalid", index="orders_bad")
    await bench.run("table.vacuum", table="orders")
    await bench.run("table.vacuum", table="orders", full=True)
    await bench.run("table.analyze", table="orders")
    purge = {"archive": "events_old", "create_archive": True, "column": "at", "older_than": "2d"}
    await bench.run("rows.purge", table="events", **purge)
    await bench.run("setting.set", name="fillfactor", value="80", table="orders")
    await bench.run("credential.rotate", account="app")
    await bench.run("credential.lock", account="locked")
    await bench.run("credential.lock", account="locked", unlock=True)
    await bench.run("account.revoke", account="leaver")
    await bench.run("slot.drop", name="standby1")
    script = folder / "up.sql"
    script.write_text("create table made (id int primary key, n int);\ncreate index made_n on made (n);")
    await bench.run("migration.apply", up=str(script), unrehearsed=True)
    await end_sessions(bench, server)


async def end_sessions(bench: Bench, server: ScratchServer) -> None:
    idle, busy = await session(server, "shop", "till"), await session(server, "shop", "report")
    await bench.run("session.terminate", **await bench.key(idle.get_server_pid()))
    root, waiter = await session(server, "postgres", "root"), await session(server, "postgres", "waiter")
    await root.execute("begin; lock table events")
    waits = asyncio.ensure_future(waiter.fetch("select * from events"))
    await asyncio.sleep(0.5)
    key = await bench.key(root.get_server_pid())
    await bench.run("chain.break", root=key["id"], started_at=key["started_at"])
    await waits
    asleep = asyncio.ensure_future(busy.fetch("select pg_sleep(60)"))
    await asyncio.sleep(0.3)
    await bench.run("session.cancel", **await bench.key(busy.get_server_pid()))
    with contextlib.suppress(asyncpg.PostgresError):
        await asleep
    await busy.execute("begin")
    await asyncio.sleep(1.2)
    await bench.run("session.terminate_idle", older_than="1s")
    for one in (idle, busy, root, waiter):
        one.terminate()


async def test_nothing_that_dbdeck_did_is_undeclared(
    bench: Bench, server: ScratchServer, tmp_path: Path
) -> None:
    first = await bench.compare()
    assert first.since is None
    assert "first look" in first.notes[0]
    await act_on_postgres(bench, server, tmp_path)
    await settle()
    found = await bench.compare()
    assert names(undeclared(found)) == []
    assert names(found.of(Standing.UNCLEAR)) == []
    declared = {(one.kind, one.name): one.action for one in found.of(Standing.DECLARED)}
    assert declared["server setting", "work_mem"] == "setting.reset"
    assert declared["password", "app"] == "credential.rotate"
    assert declared["slot", "standby1"] == "slot.drop"
    assert declared["prepared transaction", "left over"] == "transaction.rollback_prepared"
    assert declared["membership", "leaver in readers"] == "account.revoke"
    actions = sorted(one.action for one in found.findings if one.kind in ("session", "statement of session"))
    assert actions == ["chain.break", "session.cancel", "session.terminate", "session.terminate_idle"]
    again = await bench.compare()
    assert again.findings == ()


BY_HAND = (
    "create role spy login superuser password 'secret-w0rd'",
    "alter role locked createdb",
    "alter role app password 'an0ther-Word'",
    "grant readers to app",
    "revoke readers from leaver",
    "alter role app set work_mem = '9MB'",
    "alter database postgres set statement_timeout = '9s'",
    "alter system set work_mem = '77MB'",
    "select pg_reload_conf()",
    "create index by_hand on orders (note)",
    "drop index orders_n",
    "drop index orders_bad",
    "grant select on orders to leaver",
    "select pg_drop_replication_slot('standby1')",
    "select pg_create_physical_replication_slot('mine')",
)


async def test_the_same_by_hand_is_listed_each_once(bench: Bench, server: ScratchServer) -> None:
    await bench.run("credential.rotate", account="app")
    await bench.compare()
    await psql(server, *BY_HAND)
    idle, busy = await session(server, "shop", "till"), await session(server, "shop", "report")
    pid, other = idle.get_server_pid(), busy.get_server_pid()
    asleep = asyncio.ensure_future(busy.fetch("select pg_sleep(60)"))
    await asyncio.sleep(0.3)
    await psql(server, f"select pg_terminate_backend({pid}), pg_cancel_backend({other})")
    with contextlib.suppress(asyncpg.PostgresError):
        await asleep
    await settle()
    found = await bench.compare()
    told = {(one.kind, one.name): one for one in found.findings}
    assert len(told) == len(found.findings)
    assert names(undeclared(found)) == [
        ("grant", "postgres: table public.orders to leaver", "made"),
        ("index", "postgres.public.by_hand", "made"),
        ("index", "postgres.public.orders_n", "dropped"),
        ("invalid index", "postgres.public.orders_bad", "dropped"),
        ("membership", "app in readers", "made"),
        ("membership", "leaver in readers", "dropped"),
        ("password", "app", "changed"),
        ("role", "locked", "changed"),
        ("role", "spy", "made"),
        ("server setting", "work_mem", "changed"),
        ("session", f"{pid} (user shop, application till)", "ended"),
        ("setting", "database postgres: statement_timeout", "made"),
        ("setting", "role app: work_mem", "made"),
        ("slot", "mine", "made"),
        ("slot", "standby1", "dropped"),
    ]
    assert names(found.of(Standing.UNCLEAR)) == [
        ("statement of session", f"{other} (user shop, application report)", "cancelled")
    ]
    changed = told["server setting", "work_mem"]
    assert (changed.before, changed.after) == ("5120kB", "78848kB")
    assert changed.since == found.since
    assert changed.until == found.until
    ended = told["session", f"{pid} (user shop, application till)"]
    assert ended.at is not None
    assert found.since is not None
    assert found.since < ended.at
    assert told["role", "spy"].with_it == ("password spy",)
    kept = await bench.ledger.entries()
    for secret in ("secret-w0rd", "an0ther-Word", "SCRAM-SHA"):
        assert all(secret not in (one.body or "") for one in kept)
    assert (await bench.compare()).findings == ()


async def test_since_goes_back_to_an_earlier_look(bench: Bench, server: ScratchServer) -> None:
    await bench.compare()
    [first, *_] = await bench.ledger.entries(limit=1)
    await psql(server, "create role spy")
    assert names(undeclared(await bench.compare())) == [("role", "spy", "made")]
    assert names(undeclared(await bench.compare())) == []
    assert names(undeclared(await bench.compare(first.at))) == [("role", "spy", "made")]


async def test_a_password_changed_after_our_rotation_is_not_the_rotation_s(
    bench: Bench, server: ScratchServer
) -> None:
    await bench.compare()
    await bench.run("credential.rotate", account="app")
    await psql(server, "alter role app password 'an0ther-Word'")
    [one] = undeclared(await bench.compare())
    assert (one.kind, one.name) == ("password", "app")
    assert "credential.rotate" in one.why
    assert "set another password" in one.why


async def test_what_pgaudit_says_tells_who_made_a_difference_and_what_none_shows(
    bench: Bench, server: ScratchServer
) -> None:
    """Its lines in its own format, by a server that has no pgaudit."""
    await bench.compare()
    lines = (
        ("DDL,CREATE INDEX,INDEX,public.by_hand,create index by_hand on orders (note),<none>"),
        ("DDL,CREATE VIEW,VIEW,public.v,create view v as select 1,<none>"),
        ("MISC,SET,,,set work_mem = 1,<none>"),
    )
    said = [f"do $x$ begin raise log 'AUDIT: SESSION,{n},1,{line}'; end $x$" for n, line in enumerate(lines)]
    await psql(server, "create index by_hand on orders (note)", *said)
    await settle()
    found = await bench.compare()
    assert names(undeclared(found)) == [
        ("index", "postgres.public.by_hand", "made"),
        ("statement", "CREATE VIEW public.v", "ran"),
    ]
    [index, view] = sorted(undeclared(found), key=lambda one: one.kind)
    assert index.at is not None
    assert "postgres, application psql" in index.who
    assert view.at is not None


async def test_what_may_not_be_read_is_unknown_with_the_grant(server: ScratchServer, tmp_path: Path) -> None:
    await psql(server, "create role blind login")
    target = postgres_target(server)
    target = msgspec.structs.replace(target, monitor=msgspec.structs.replace(target.monitor, user="blind"))
    async with bench_on(target, tmp_path) as bench:
        await bench.compare()
        await psql(server, "alter role app password 'an0ther-Word'")
        found = await bench.compare()
    assert undeclared(found) == []
    assert "GRANT SELECT" in found.unseen["password"]
    assert "GRANT EXECUTE ON FUNCTION pg_read_binary_file" in found.unseen["log"]
    assert any("GRANT pg_read_all_settings" in note for note in found.notes)


async def test_a_restart_is_told_and_what_it_brought_is_not_held_against_anybody(
    bench: Bench, server: ScratchServer
) -> None:
    await bench.run("setting.set", name="max_connections", value="90", scope="server")
    await bench.compare()
    client = await session(server, "shop", "till")
    await asyncio.sleep(1.5)  # starts that are no second apart are taken for one: MySQL tells whole seconds
    await stop(server)
    await start(server)
    client.terminate()
    await settle()
    found = await bench.compare()
    assert names(undeclared(found)) == []
    assert ("server", "t", "started again") in names(found.of(Standing.UNCLEAR))
    assert ("server setting", "max_connections", "changed") in names(found.of(Standing.UNCLEAR))


async def test_the_command_ends_with_11_where_something_is_undeclared(
    server: ScratchServer, tmp_path: Path
) -> None:
    given = {
        "engine": "postgres", "host": str(server.socket_dir), "port": server.port, "database": "postgres",
        "environment": "dev", "tls": "off", "monitor": {"user": "watcher"}, "operator": {"user": "postgres"},
    }  # fmt: skip
    command = Command(tmp_path, {"t": given})
    first = await command.run("audit", "compare", "-t", "t", "--json")
    assert (first.code, first.document["since"]) == (0, None)
    assert first.document["schema"] == "dbdeck/audit-compare/1"
    await psql(server, "create role spy")
    found = await command.run("audit", "compare", "--json")
    assert found.code == 11
    assert [(row["standing"], row["kind"], row["name"]) for row in found.rows] == [
        ("undeclared", "role", "spy")
    ]
    assert (await command.run("audit", "compare", "--since", "soon")).code == 2
    await psql(server, "drop role spy")
    told = await command.run("audit", "compare")
    assert told.code == 11
    assert "role spy dropped" in told.out
    assert (await command.run("audit", "verify")).code == 0
