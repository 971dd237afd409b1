"""A runbook's SQL is one read, and what it is given is bound and never part of its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runbook.sql import bind, fault
from console.runbook.values import ExpressionError


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "SELECT a::text, ':x', \"delete\" from t -- drop\n where b = :b",
        "with x as (select 1) select * from x",
        "show tables;",
        "select /* update */ 1",
        "select `set` from t",
        "values (1)",
        "select last_update from t",
        "select count(*) from pg_ls_waldir()",
        "select count(*) from pg_ls_archive_statusdir()",
        "select slot_name from pg_replication_slots",
        "select * from pg_catalog.pg_file_settings",
        'select "sleep" from t',
        "select 'sleep(9) -- it''s # $$ ä'",
        "select 1 --\nfrom t",
        "select a$b from t",
    ],
)
def test_a_read_is_one(sql: str) -> None:
    assert fault(sql) == ""


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "delete from t",
        "with x as (delete from t returning 1) select * from x",
        "select 1; drop table t",
        "select pg_terminate_backend(1)",
        "select PG_Cancel_Backend (1)",
        "select * from t for update",
        "select * from t for no key update",
        "select 1 into outfile '/x'",
        "select * into t2 from t",
        "explain select 1",
        "select /*! sleep(9) */ 1",
        "select /*M! 1 */",
        "select 'a\\' or 1 --'",
        "select $$ $$ from x; select 1",
        "select set_config('a', 'b', false)",
        "select nextval('s')",
        "select pg_ls_dir('/')",
        "select pg_ls_waldirs()",
        "select pg_replication_slot_advance('s', '0/0')",
        "select pg_replication_origin_drop('s')",
        "copy t to program 'x'",
        "select 'a",
        "call p()",
        "select pg_sleep(9)",
        "select get_lock('a', 1)",
        "select sleep(9)",
        "select load_file('/etc/passwd')",
        "select * from t lock in share mode",
        "set global x = 1",
        "/* select */ delete from t",
        "select dblink('', '')",
    ],
)
def test_what_could_be_more_is_refused(sql: str) -> None:
    assert fault(sql) != ""


@pytest.mark.parametrize(
    "call",
    [
        "pg_catalog.PG_Terminate_Backend(1)",
        '"pg_terminate_backend"(1)',
        '"pg_catalog"."pg_terminate_backend" /* x */ (1)',
        "`sleep`(9)",
        "pg_reload_conf()",
        "pg_switch_wal()",
        "pg_create_physical_replication_slot('a')",
        "pg_drop_replication_slot('a')",
        "pg_replication_slot_advance('a', '0/1')",
        "pg_replication_origin_create('a')",
        "lo_import('/etc/passwd')",
        "lo_unlink(1)",
        "dblink_exec('', '')",
        "pg_read_file('x')",
        "pg_read_binary_file('x')",
        "pg_ls_dir('/')",
        "setval('s', 1)",
        "pg_try_advisory_lock(1)",
        "pg_notify('a', 'b')",
        "pg_stat_statements_reset()",
        "pg_file_unlink('x')",
        "txid_current()",
        "query_to_xml('select pg_sleep(1)', true, true, '')",
        "LOAD_FILE('/etc/passwd')",
        "GET_LOCK('a', 1)",
        "release_all_locks()",
        "benchmark(1, 1)",
        "master_pos_wait('a', 1)",
        "next value for s",
        "keyring_key_remove('a')",
        "sl\u00e8ep(9)",
        '"sl\u00e8ep"(9)',
    ],
)
@pytest.mark.parametrize("flavor", ["", "postgresql", "mysql"])
def test_a_function_that_acts_beside_the_transaction_is_refused(call: str, flavor: str) -> None:
    assert fault(f"select {call}", flavor) != ""
    assert fault(f"SELECT a FROM t WHERE {call.upper()} IS NULL", flavor) != ""


@pytest.mark.parametrize(
    "sql",
    [
        "select $$'$$, pg_sleep(9), $$'$$",
        "select $a$'$a$, pg_sleep(9), $a$'$a$",
        'select "a\\"" , sleep(9) , "b"',
        "select 1 --1, sleep(9)",
        "select 1 # '\n, sleep(9) # '",
        "select 1 /* /* */ ' */ , pg_sleep(9) --'",
        "select /*+ set_var(max_execution_time=0) */ 1",
        "select E'\\'', pg_sleep(9), '",
        'select U&"\\0070g_sleep"(9)',
        "select 'a' /* ' */, sleep(9) /* ' /* */",
    ],
)
def test_nothing_hides_where_servers_part_a_text_otherwise(sql: str) -> None:
    assert fault(sql, "mysql") != ""


def test_json_operators_are_read_where_they_are_no_comment() -> None:
    assert fault("select a #>> '{b}' from t", "postgresql") == ""
    assert fault("select a #>> '{b}' from t", "mariadb") != ""


def test_names_become_the_drivers_placeholders() -> None:
    sql = "select :a, ':a', x::int, :b, :a from t -- :c"
    assert bind(sql, {"a": 1, "b": "x"}, "postgresql") == (
        "select $1, ':a', x::int, $2, $1 from t -- :c",
        (1, "x"),
    )
    assert bind(sql, {"a": 1, "b": "x"}, "mysql") == (
        "select %s, ':a', x::int, %s, %s from t -- :c",
        (1, "x", 1),
    )


def test_a_percent_sign_stays_one_where_the_driver_formats() -> None:
    assert bind("select 'a%' where b = :b", {"b": 1}, "mysql").sql == "select 'a%%' where b = %s"
    assert bind("select 'a%'", {}, "mysql").sql == "select 'a%'"


def test_what_is_not_given_is_told() -> None:
    with pytest.raises(ExpressionError, match=":b"):
        bind("select :b", {}, "postgresql")


@given(st.text(max_size=60), st.sampled_from(["postgresql", "mysql", "mariadb"]))
def test_no_value_gets_into_the_text(value: str, flavor: str) -> None:
    assert bind("select :a", {"a": value}, flavor).sql in ("select $1", "select %s")


@given(st.text(alphabet="selct'\"`-/*!;:$ax \n\\", max_size=40))
def test_any_text_is_judged(sql: str) -> None:
    assert isinstance(fault(sql), str)
