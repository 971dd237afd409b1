"""A script as its statements: what ends one, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.migration_statements import objection, parts

FLAVORS = ("postgresql", "mysql", "mariadb")


def texts(script: str, flavor: str = "postgresql") -> list[str]:
    return [one.text for one in parts(script, flavor)]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_statements_end_at_semicolons_outside_of_texts_names_and_comments(flavor: str) -> None:
    script = "-- a; b\nselect 'a;b' as x;\n/* c; d */ select 2 ; ;\nselect 'it''s; so'"
    assert texts(script, flavor) == ["select 'a;b' as x", "select 2", "select 'it''s; so'"]


def test_bodies_in_dollars_and_odd_names_are_kept_whole() -> None:
    body = "create function f() returns int language sql as $x$ select 1; select $$ a $$; $x$"
    assert texts(f'{body};\nalter table "a;b" add c int;') == [body, 'alter table "a;b" add c int']


def test_backslashes_and_backticks_are_those_of_mysql() -> None:
    script = "insert into t values ('a\\';b'); select `x;y` from t # end;\n; select 3"
    assert texts(script, "mysql") == ["insert into t values ('a\\';b')", "select `x;y` from t", "select 3"]


def test_comments_of_postgresql_nest_and_hide_what_is_in_them() -> None:
    script = "/* outer /* inner */ drop table t; */ select 1; select 2 -- a\rfrom t"
    assert texts(script) == ["select 1", "select 2  \rfrom t"]
    with pytest.raises(ValueError, match="line 1"):
        parts("/* outer /* inner */ drop table t;", "postgresql")


def test_a_name_before_a_quote_or_a_dollar_makes_no_other_text_of_it() -> None:
    script = "select a from t where a like'%\\'; select a$b$ from t; select c$b$"
    assert texts(script) == [one.strip() for one in script.split(";")]
    assert texts("select E'a\\'; b'; select 2") == ["select E'a\\'; b'", "select 2"]
    assert texts("do $ü$ a; b $ü$; select 2") == ["do $ü$ a; b $ü$", "select 2"]


def test_hints_of_mysql_stay_with_their_statement() -> None:
    assert texts("select /*+ max_execution_time(1) */ 1 /* a */", "mysql") == [
        "select /*+ max_execution_time(1) */ 1"
    ]


def test_each_statement_knows_its_line_and_whether_it_stands_alone() -> None:
    found = parts("select 1;\n\ncreate index concurrently i on t (a);\nvacuum t;", "postgresql")
    assert [(one.line, one.alone) for one in found] == [(1, False), (3, True), (4, True)]


@pytest.mark.parametrize("script", ["select 'a", 'select "a', "select 1 /* never", "select $$ a"])
def test_what_does_not_end_is_told_with_its_line(script: str) -> None:
    if "$$" in script:
        assert texts(script) == [script]  # a `$` is no quote of its own: the server says what is wrong
        return
    with pytest.raises(ValueError, match="line 1"):
        parts(script, "postgresql")


@pytest.mark.parametrize(
    ("script", "flavor", "said"),
    [
        ("alter role a password 'x'", "postgresql", "password"),
        ("create user a identified by 'x'", "mysql", "password"),
        ("create user a identified via ed25519 using 'x'", "mariadb", "password"),
        ("create subscription s connection 'host=a password=b' publication p", "postgresql", "password"),
        ("update users set password = 'x'", "postgresql", "password"),
        ("alter role a password'x'", "postgresql", "password"),
        ("alter role a password $$x$$", "postgresql", "password"),
        ("alter role a password U&'x'", "postgresql", "password"),
        ("change master to master_password='x'", "mariadb", "password"),
        ("select dblink('host=a password = b', 'select 1')", "postgresql", "password"),
        ("create subscription s connection 'postgresql://a:b@c/d' publication p", "postgresql", "password"),
        ("set session autocommit = 0", "mysql", "transactions"),
        ("set foreign_key_checks = 0, autocommit = 0", "mysql", "transactions"),
        ("/*!40101 set autocommit = 0 */", "mysql", "transactions"),
        ("xa begin 'a'", "mysql", "transactions"),
        ("begin; select 1; commit", "postgresql", "transactions"),
        ("copy t from stdin", "postgresql", "client"),
        ("\\d t", "postgresql", "client"),
        ("delimiter //", "mysql", "client"),
        ("create procedure p() begin select 1", "mysql", "routine"),
        ("create function f() returns int begin atomic select 1", "postgresql", "client"),
        ("-- nothing", "postgresql", "no statement"),
    ],
)
def test_what_cannot_be_applied_so_is_refused_with_the_reason(script: str, flavor: str, said: str) -> None:
    assert said in objection(parts(script, flavor), flavor)


@pytest.mark.parametrize(
    "script",
    [
        "alter table users add column password text",
        "create table secrets (n int)",
        "update users set a = 1, password = null",
        "alter role a password null",
        "lock table users in share mode",
    ],
)
def test_a_column_that_is_called_so_is_no_password(script: str) -> None:
    assert objection(parts(script, "postgresql"), "postgresql") == ""


@given(st.text(alphabet="ab;'\"`$-/*# \n", max_size=60), st.sampled_from(FLAVORS))
def test_no_text_breaks_it_and_nothing_but_comments_is_lost(script: str, flavor: str) -> None:
    try:
        found = parts(script, flavor)
    except ValueError:
        return
    letters = sum(one.text.count("a") + one.text.count("b") for one in found)
    assert letters <= script.count("a") + script.count("b")
    if not any(mark in script for mark in ("-", "/", "#")):
        assert letters == script.count("a") + script.count("b")
