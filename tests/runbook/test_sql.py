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
