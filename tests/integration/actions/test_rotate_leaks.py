"""With every log a server has switched on, a rotated password is in none of them, nor anywhere else."""

from __future__ import annotations

from pathlib import Path

from console.errors import Exit
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import rotor_on
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

LOGGED = {
    "log_statement": "'all'",
    "log_min_duration_statement": "0",
    "log_min_error_statement": "'debug1'",
    "log_connections": "'on'",
    "log_replication_commands": "'on'",
    "track_activity_query_size": "'16kB'",
}


def holding(folder: Path, needle: bytes) -> list[Path]:
    """Files with these bytes in them."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and needle in path.read_bytes():
                found.append(path)
        except OSError:
            continue  # gone meanwhile
    return found


async def test_postgresql_writes_it_nowhere(postgres: PostgresServer, tmp_path: Path) -> None:
    await superuser(postgres, *(f"alter system set {name} = {value}" for name, value in LOGGED.items()))
    await superuser(postgres, "select pg_reload_conf()", "select pg_sleep(0.3)")
    try:
        async with rotor_on(postgres, tmp_path) as desk:
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
            new = (await desk.password()).reveal()
            rows = await superuser(postgres, "select query from pg_stat_activity")
            await superuser(postgres, "checkpoint")
            root = postgres.scratch.data.parent
            assert holding(root, desk.account.encode()), "the log was not looked at"
            assert holding(root, b"alter role "), "the statement is in a log, and has to be"
            assert holding(root, new.encode()) == []
            assert not any(new in (query or "") for (query,) in rows)
            assert holding(tmp_path, new.encode()) == []
    finally:
        await superuser(postgres, *(f"alter system reset {name}" for name in LOGGED))
        await superuser(postgres, "select pg_reload_conf()")


async def test_mysql_and_mariadb_write_it_nowhere(mysql: MysqlServer, tmp_path: Path) -> None:
    logs = ("general_log", "slow_query_log", "log_queries_not_using_indexes")
    await superuser(mysql, *(f"set global {name} = on" for name in logs), "set global long_query_time = 0")
    try:
        async with rotor_on(mysql, tmp_path) as desk:
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
            new = (await desk.password()).reveal()
            await superuser(mysql, "flush logs")
            root = mysql.log.parent
            assert holding(root, desk.account.encode()), "the logs were not looked at"
            assert holding(root, new.encode()) == []
            seen = await superuser(
                mysql, "select sql_text from performance_schema.events_statements_history_long"
            )
            assert not any(new in (text or "") for (text,) in seen)
            assert holding(tmp_path, new.encode()) == []
    finally:
        await superuser(mysql, *(f"set global {name} = off" for name in logs))
        await superuser(mysql, "set global long_query_time = default")


async def test_a_plaintext_statement_would_have_been_found(postgres18: PostgresServer) -> None:
    """That the search sees what it looks for."""
    await superuser(postgres18, "alter system set log_statement = 'all'", "select pg_reload_conf()")
    await superuser(postgres18, "select pg_sleep(0.3)", "create role leak_check password 'pl4in-as-day'")
    await superuser(postgres18, "drop role leak_check", "alter system reset log_statement")
    await superuser(postgres18, "select pg_reload_conf()")
    assert holding(postgres18.scratch.data.parent, b"pl4in-as-day")
