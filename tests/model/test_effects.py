"""Two looks, deeds and lines of a log -> what was declared. Examples, and properties over many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.queries import quote_ident
from console.model.effect_changes import changes
from console.model.effect_claims import claims, ends_sessions, fits
from console.model.effect_match import compare
from console.model.effects import (
    CANCELLED,
    ENDED,
    STATEMENT,
    Change,
    Comparison,
    Deed,
    How,
    Logged,
    Look,
    Seen,
    Standing,
)

T0 = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
T1 = T0 + timedelta(hours=1)
MIDDLE = T0 + timedelta(minutes=30)


def look(marks: dict[str, dict[str, str]], **over: Any) -> Look:
    values: dict[str, Any] = {
        "taken_at": T1, "server": "7", "flavor": "postgresql", "started_at": T0 - timedelta(days=9),
        "key": "k", "marks": marks,
    }  # fmt: skip
    return Look(**values | over)


def deed(*statements: str, **over: Any) -> Deed:
    values: dict[str, Any] = {
        "id": "0a0b", "action": "setting.set", "at": MIDDLE, "ended_at": MIDDLE + timedelta(seconds=1),
        "status": "applied", "statements": statements,
    }  # fmt: skip
    return Deed(**values | over)


def told(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]], *deeds: Deed, **over: Any
) -> Comparison:
    lines = over.pop("lines", ())
    seen = Seen(look=look(after, **over), lines=tuple(lines))
    return compare("t", look(before, taken_at=T0), seen, deeds)


def standings(found: Comparison) -> list[tuple[str, str]]:
    return [(str(one.standing), f"{one.kind} {one.name} {one.how}") for one in found.findings]


ROLE = {"role": {"app": "=login"}}


def test_the_same_twice_is_nothing() -> None:
    assert told(ROLE, ROLE).findings == ()


def test_a_difference_without_a_deed_is_undeclared() -> None:
    found = told(ROLE, {"role": {"app": "=login, superuser"}})
    assert standings(found) == [("undeclared", "role app changed")]
    [one] = found.findings
    assert (one.before, one.after, one.since, one.until) == ("login", "login, superuser", T0, T1)


@pytest.mark.parametrize(
    ("kind", "name", "statement"),
    [
        ("role", "app", 'alter role "app" nologin'),
        ("role", '"My App"', 'ALTER ROLE "My App" LOGIN'),
        ("role", '"bob@corp"', 'alter role "bob@corp" nologin'),
        ("password", "bob@corp", 'alter role "bob@corp" password <scram verifier>'),
        ("grant", 'shop: table public.t to "bob@corp"', 'revoke select on t from "bob@corp"'),
        ("grant", "`readers`@`%` to app@%", "revoke 'readers'@'%' from 'app'@'%'"),
        ("grant", "`readers` to app@%", "revoke `readers` from 'app'@'%'"),
        ("user", "app@10.%", "alter user 'app'@'10.%' account lock"),
        ("password", "app", 'alter role "app" password <scram verifier>'),
        ("membership", "app in readers", 'revoke "readers" from "app" granted by "boss"'),
        ("grant", "shop: table public.orders to app", "grant select on orders to app"),
        ("grant", "shop: table public.orders to app", "grant select on all tables in schema public to app"),
        ("grant", "privileges on `shop`.* to app@%", "GRANT SELECT ON `shop`.* TO 'app'@'%'"),
        ("grant", "shop: function public.f(integer, text) to app", "grant execute on function f to app"),
        ("setting", "role app: work_mem", 'ALTER ROLE "app" SET "work_mem" = \'9MB\''),
        ("setting", "role app database shop: n", 'ALTER ROLE "app" IN DATABASE "shop" RESET "n"'),
        ("server setting", "work_mem", "ALTER SYSTEM SET \"work_mem\" = '9MB'"),
        ("server setting", "max_connections", "SET PERSIST `max_connections` = 9"),
        ("index", "shop.public.orders_n", "set a = 1; create index concurrently orders_n on orders (n)"),
        ("index", "shop.public.orders_n", "drop table if exists orders"),
        ("index", "shop.orders.PRIMARY", "ALTER TABLE `shop`.`orders` DROP PRIMARY KEY"),
        ("invalid index", "shop.public.orders_n_ccnew", 'reindex index concurrently "public"."orders_n"'),
        ("slot", "standby1", "SELECT pg_drop_replication_slot(s.slot_name) WHERE s.slot_name = 'standby1'"),
        ("database", "shop", "drop database shop"),
    ],
)  # fmt: skip
def test_a_statement_explains_what_it_can_do(kind: str, name: str, statement: str) -> None:
    table = "shop.orders" if name.endswith("PRIMARY") else "public.orders"
    mark = f"#ab on {table}" if "index" in kind else "=x"
    assert fits(statement, claims(Change(kind=kind, name=name, how=How.DROPPED, before=mark)))


@pytest.mark.parametrize(
    ("kind", "name", "statement"),
    [
        ("role", "app", 'alter role "app2" nologin'),
        ("role", "app", "update app set role = 1"),
        ("password", "app", "vacuum app"),
        ("membership", "app in readers", 'revoke "readers" from "other"'),
        ("grant", "shop: table public.orders to app", "grant select on items to app"),
        ("setting", "role app: work_mem", 'ALTER ROLE "app" SET "lock_timeout" = \'9\''),
        ("server setting", "work_mem", 'ALTER ROLE "app" SET "work_mem" = \'9MB\''),
        ("index", "shop.public.orders_n", "vacuum orders"),
        ("index", "shop.public.orders_n", "reindex index concurrently orders_n"),
        ("index", "shop.orders.PRIMARY", "ALTER TABLE `shop`.`items` DROP PRIMARY KEY"),
        ("slot", "standby1", "SELECT 1 WHERE s.slot_name = 'standby1'"),
    ],
)
def test_a_statement_explains_nothing_else(kind: str, name: str, statement: str) -> None:
    table = "shop.orders" if name.endswith("PRIMARY") else "public.orders"
    mark = f"#ab on {table}" if "index" in kind else "=x"
    assert not fits(statement, claims(Change(kind=kind, name=name, how=How.DROPPED, before=mark)))


def test_of_several_the_last_is_named_and_the_others_counted() -> None:
    first = deed('alter role "app" nologin', id="first")
    last = deed('alter role "app" login', id="last", at=MIDDLE + timedelta(minutes=1))
    [one] = told(ROLE, {"role": {"app": "="}}, last, first).findings
    assert (one.standing, one.action_id, one.others) == (Standing.DECLARED, "last", 1)


def test_one_without_an_end_explains_and_is_told_as_open() -> None:
    [one] = told(ROLE, {"role": {"app": "="}}, deed("alter role app nologin", status=None)).findings
    assert (one.standing, one.open) == (Standing.DECLARED, True)


def test_what_ended_before_the_look_explains_nothing() -> None:
    [one] = told(ROLE, {"role": {"app": "="}}, deed("alter role app nologin", past=True)).findings
    assert one.standing is Standing.UNDECLARED


def test_what_only_a_failed_action_names_is_unclear() -> None:
    [one] = told(ROLE, {"role": {"app": "="}}, deed("alter role app nologin", status="failed")).findings
    assert (one.standing, one.action) == (Standing.UNCLEAR, "setting.set")


def test_a_prepared_transaction_that_came_or_went_is_unclear() -> None:
    here = {"prepared transaction": {"x": "="}}
    for before, after, word in (({}, here, "prepared"), (here, {}, "ended")):
        [one] = told(before, after).findings
        assert one.standing is Standing.UNCLEAR
        assert f"may have {word} it" in one.why


def test_a_deed_on_the_primary_explains_accounts_of_its_replica_but_not_its_settings() -> None:
    before = {"role": {"app": "=login"}, "server setting": {"work_mem": "=1"}}
    after = {"role": {"app": "="}, "server setting": {"work_mem": "=2"}}
    elsewhere = deed("alter role app nologin", "alter system set work_mem = 2", here=False)
    assert [one[0] for one in standings(told(before, after, elsewhere, replica=True))] == [
        "undeclared",
        "declared",
    ]
    assert {one[0] for one in standings(told(before, after, elsewhere))} == {"undeclared"}


def test_a_number_that_is_another_than_was_set_is_undeclared() -> None:
    before, after = {"server setting": {"n": "=1"}}, {"server setting": {"n": "=3"}}
    [one] = told(before, after, deed("set global n = 2", value="2")).findings
    assert one.standing is Standing.UNDECLARED
    assert "set it to 2, and it is 3" in one.why
    [one] = told(before, after, deed("set global n = 3", value="3")).findings
    assert one.standing is Standing.DECLARED


def test_a_password_is_compared_with_the_one_that_the_rotation_left() -> None:
    before, after = {"password": {"app@%": "*aa"}}, {"password": {"app@%": "*bb,cc"}}
    for left, standing in (("cc", Standing.DECLARED), ("dd", Standing.UNDECLARED)):
        rotation = deed("alter user 'app'@'%' identified", fingerprints={"app@%": left}, key="k")
        [one] = told(before, after, rotation).findings
        assert one.standing is standing
    other_key = deed("alter user 'app'@'%' identified", fingerprints={"app@%": "dd"}, key="other")
    assert told(before, after, other_key).findings[0].standing is Standing.DECLARED


def test_with_another_key_nothing_is_said_of_passwords_but_that() -> None:
    found = told({"password": {"app": "*aa"}}, {"password": {"app": "*bb"}}, key="new")
    assert found.findings == ()
    assert any("key of fingerprints is another" in note for note in found.notes)


def test_a_kind_that_one_look_could_not_see_is_not_compared() -> None:
    found = told(ROLE, {}, unseen={"role": "GRANT x"})
    assert found.findings == ()
    assert found.unseen == {"role": "GRANT x"}


def test_where_looks_saw_different_parts_only_changes_are_told() -> None:
    before = {"index": {"a": "#1 on t", "b": "#1 on t"}}
    found = told(before, {"index": {"a": "#2 on t"}}, partial={"index": "GRANT y"})
    assert standings(found) == [("undeclared", "index a changed")]
    assert any("another part" in note for note in found.notes)


def test_what_an_account_takes_along_is_told_with_it() -> None:
    after = {
        "role": {"app": "=login", "spy": "=superuser"},
        "membership": {"spy in readers": "="},
        "password": {"spy": "*aa"},
        "setting": {"role spy: work_mem": "=9MB"},
        "grant": {"shop: table public.t to spy": "=SELECT"},
    }
    [one] = told({**{kind: {} for kind in after}, **ROLE}, after).findings
    assert (one.kind, one.name) == ("role", "spy")
    assert len(one.with_it) == 4


def test_an_index_that_becomes_valid_is_one_change() -> None:
    before, after = {"invalid index": {"s.i": "#1 on s.t"}}, {"index": {"s.i": "#1 on s.t"}}
    [one] = changes(look({"index": {}, **before}), look({"invalid index": {}, **after}))
    assert (one.how, one.before, one.after) == (How.CHANGED, "=invalid on s.t", "=valid on s.t")


# ---- the log ---------------------------------------------------------------------------------------------

KILL = "SELECT pg_terminate_backend(a.pid) FROM pg_stat_get_activity(41) AS a WHERE a.pid = 41"


def test_a_session_that_we_ended_is_declared_and_another_is_not() -> None:
    lines = [Logged(at=MIDDLE, what=ENDED, session=number) for number in (41, 42)]
    found = told(ROLE, ROLE, deed(KILL), lines=lines)
    assert standings(found) == [("undeclared", "session 42 ended"), ("declared", "session 41 ended")]


def test_the_same_number_an_hour_later_is_another_session() -> None:
    line = Logged(at=MIDDLE + timedelta(minutes=20), what=ENDED, session=41)
    assert standings(told(ROLE, ROLE, deed(KILL), lines=[line])) == [("undeclared", "session 41 ended")]


def test_clocks_that_differ_are_allowed_for() -> None:
    ahead = timedelta(minutes=10)
    seen = Seen(look=look(ROLE), lines=(Logged(at=MIDDLE - ahead, what=ENDED, session=41),))
    [one] = compare("t", look(ROLE, taken_at=T0), seen, [deed(KILL)], ahead).findings
    assert one.standing is Standing.DECLARED


def test_a_cancelled_statement_is_unclear_a_timeout_nothing_and_our_own_reads_neither() -> None:
    lines = [
        Logged(at=MIDDLE, what=CANCELLED, session=1),
        Logged(at=MIDDLE, what=CANCELLED, session=2, reason="canceling statement due to statement timeout"),
        Logged(at=MIDDLE, what=CANCELLED, session=3, application="dbdeck contents"),
    ]
    found = told(ROLE, ROLE, lines=lines)
    assert standings(found) == [("unclear", "statement of session 1 cancelled")]


def test_sessions_that_a_stopping_server_ended_are_not_held_against_anybody() -> None:
    lines = [
        Logged(at=MIDDLE, what=ENDED, shutdown=True),
        Logged(at=MIDDLE + timedelta(seconds=1), what=ENDED, session=7),
    ]
    found = told(ROLE, ROLE, lines=lines, started_at=MIDDLE + timedelta(seconds=5))
    assert standings(found) == [("unclear", "server t started again")]


def test_a_log_without_numbers_is_matched_by_time_and_says_so() -> None:
    found = told(ROLE, ROLE, deed(KILL), lines=[Logged(at=MIDDLE, what=ENDED)])
    [one] = found.findings
    assert one.standing is Standing.DECLARED
    assert "by the time alone" in one.why


def audited(statement: str, command: str, thing: str) -> Logged:
    return Logged(
        at=MIDDLE, what=STATEMENT, session=5, user="eve", command=command, object=thing, statement=statement
    )


def test_an_audited_statement_of_ours_is_declared_whatever_its_literals() -> None:
    line = audited("ALTER ROLE app PASSWORD <REDACTED>", "ALTER ROLE", "")
    found = told(ROLE, ROLE, deed('alter role "app" password <scram verifier>'), lines=[line])
    assert [one[0] for one in standings(found)] == ["declared"]


def test_an_audited_statement_tells_who_made_a_difference_and_is_not_told_twice() -> None:
    line = audited("alter role app superuser", "ALTER ROLE", "")
    [one] = told(ROLE, {"role": {"app": "=login, superuser"}}, lines=[line]).findings
    assert (one.kind, one.at) == ("role", MIDDLE)
    assert one.who == "eve, session 5"


@pytest.mark.parametrize(
    ("statement", "whom"),
    [
        (KILL, {41}),
        ("BEGIN NOT ATOMIC IF EXISTS (SELECT 1 WHERE t.id = 7) THEN KILL CONNECTION 7; END IF; END", {7}),
        ("SET @dbdeck = (SELECT CONCAT('KILL CONNECTION ', 1) WHERE t.processlist_id = 9)", {9}),
        ("SELECT pg_terminate_backend(a.pid) FROM slots s", set()),
    ],
)  # fmt: skip
def test_whom_a_statement_ends(statement: str, whom: set[int]) -> None:
    assert ends_sessions(statement) == frozenset(whom)


def test_most_statements_end_nobody() -> None:
    assert ends_sessions("alter role kill_bill nologin") is None


# ---- properties ------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
MARKS = st.sampled_from(["=login", "=superuser", "#aa on s.t", "#bb on s.t", "*11", "*22", "?"])
KINDS = st.sampled_from(["role", "index", "server setting", "grant", "slot", "password", "membership"])
LOOKS = st.dictionaries(KINDS, st.dictionaries(NAMES, MARKS, max_size=5), max_size=4)


@given(LOOKS)
def test_equal_looks_differ_in_nothing(marks: dict[str, dict[str, str]]) -> None:
    assert told(marks, marks).findings == ()


@given(LOOKS, LOOKS)
def test_each_difference_is_told_once_or_with_its_account(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> None:
    found = changes(look(before), look(after))
    keys = [(one.kind, one.name) for one in found]
    assert len(keys) == len(set(keys))
    along = sum(len(one.with_it) for one in found)
    differ = 0
    for kind in {*before, *after}:
        had, has = before.get(kind, {}), after.get(kind, {})
        for name in {*had, *has}:
            hidden = "?" in (had.get(name), has.get(name))
            differ += not hidden and had.get(name) != has.get(name)
    assert len(found) + along == differ


@given(LOOKS, LOOKS)
def test_without_deeds_nothing_is_declared(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> None:
    assert all(one.standing is Standing.UNDECLARED for one in told(before, after).findings)


@given(NAMES.filter(str.strip), st.booleans())
def test_the_statement_that_names_a_role_explains_it_however_it_is_called(name: str, made: bool) -> None:
    quoted = quote_ident(name, "postgresql")
    change = Change(kind="role", name=quoted, how=How.MADE if made else How.DROPPED)
    assert fits(f"{'create' if made else 'drop'} role {quoted}", claims(change))


@given(LOOKS, LOOKS)
def test_a_look_is_the_same_after_it_was_recorded(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> None:
    for one in (look(before), look(after)):
        assert msgspec.convert(msgspec.to_builtins(one), Look) == one
