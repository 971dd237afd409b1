"""Ages, cadence, order, and the ways to a dangerous right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.model.accounts import (
    Account,
    Accounts,
    Due,
    Logins,
    Power,
    drifted,
    graph,
    judged,
    label,
    powers_of,
    reach,
)
from console.model.drift import Compared, Drift, Drifts
from console.model.indexes import Severity
from console.model.rotation import Rule
from console.model.verifiers import VerifierKind

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RULE = Rule(every=90 * 86400.0, exclude=("repl_*",))
SUPERUSER = Power(name="SUPERUSER", severity=Severity.BAD)


def one(name: str = "app", **over: Any) -> Account:
    values: dict[str, Any] = {"kinds": (VerifierKind.SCRAM,), "no_password": False}
    return Account(name=name, **values | over)


def due(account: Account, rule: Rule = RULE) -> Due:
    return judged(Accounts(accounts=(account,), now=NOW), rule).accounts[0].due


def test_age_is_by_the_servers_clock() -> None:
    found = judged(Accounts(accounts=(one(changed_at=NOW - 3 * DAY),), now=NOW), RULE).accounts[0]
    assert found.age == 3 * 86400
    assert found.age_at_least == found.age


def test_a_password_is_overdue_when_it_is_older_than_the_cadence() -> None:
    assert due(one(changed_at=NOW - 91 * DAY)) is Due.OVERDUE
    assert due(one(changed_at=NOW - 90 * DAY)) is Due.OVERDUE
    assert due(one(changed_at=NOW - 89 * DAY)) is Due.IN_TIME
    assert due(one(changed_at=NOW - 91 * DAY), Rule()) is Due.NO_RULE


def test_what_has_no_date_is_unknown_and_not_in_time() -> None:
    assert due(one()) is Due.UNKNOWN


def same_since(at: datetime, *, exact: bool = False) -> Drifts:
    return Drifts(of={("app", None): Compared(drift=Drift.SAME, since=at, exact=exact)})


def test_a_verifier_that_is_still_ours_is_as_old_as_our_rotation() -> None:
    found = Accounts(accounts=(one(),), now=NOW)
    ours = judged(found, RULE, same_since(NOW - 3 * DAY, exact=True)).accounts[0]
    assert (ours.due, ours.age, ours.changed_at) == (Due.IN_TIME, 3 * 86400, NOW - 3 * DAY)


def test_the_date_that_a_server_keeps_itself_is_not_replaced() -> None:
    found = Accounts(accounts=(one(changed_at=NOW - DAY),), now=NOW)
    assert judged(found, RULE, same_since(NOW - 3 * DAY, exact=True)).accounts[0].changed_at == NOW - DAY


def test_a_password_that_was_changed_outside_has_no_age_of_ours() -> None:
    drift = Compared(drift=Drift.CHANGED, since=NOW - DAY)
    seen = judged(Accounts(accounts=(one(),), now=NOW), RULE, Drifts(of={("app", None): drift}))
    assert (seen.accounts[0].age, seen.accounts[0].due) == (None, Due.UNKNOWN)
    assert drifted(seen.accounts) == 1


def test_a_verifier_that_stayed_the_same_for_too_long_is_overdue() -> None:
    found = Accounts(accounts=(one(),), now=NOW)
    long_ = judged(found, RULE, same_since(NOW - 100 * DAY)).accounts[0]
    short = judged(found, RULE, same_since(NOW - 10 * DAY)).accounts[0]
    assert (long_.due, long_.age, long_.age_at_least) == (Due.OVERDUE, None, 100 * 86400)
    assert (short.due, short.age_at_least) == (Due.UNKNOWN, 10 * 86400)


def test_who_has_no_password_here_is_not_overdue() -> None:
    old = NOW - 900 * DAY
    assert due(one("repl_1", changed_at=old)) is Due.EXCLUDED
    assert due(one(changed_at=old, kinds=(VerifierKind.EXTERNAL,))) is Due.NO_PASSWORD
    assert due(one(changed_at=old, no_password=True)) is Due.NO_PASSWORD
    assert due(one(changed_at=old, may_login=False)) is Due.NO_PASSWORD
    assert due(one(changed_at=old, role=True)) is Due.NO_PASSWORD


def test_sessions_older_than_the_password_are_counted_where_their_start_is_known() -> None:
    logins = Logins(total=3, starts=(NOW - 5 * DAY, NOW - 1 * DAY, NOW))
    found = judged(Accounts(accounts=(one(changed_at=NOW - 2 * DAY, logins=logins),), now=NOW), RULE)
    seen = found.accounts[0].logins
    assert seen is not None
    assert (seen.before, seen.before_exact) == (1, True)
    some = (
        judged(
            Accounts(accounts=(one(changed_at=NOW, logins=Logins(total=9, starts=(NOW - DAY,))),), now=NOW),
            RULE,
        )
        .accounts[0]
        .logins
    )
    assert some is not None
    assert (some.before, some.before_exact) == (1, False)
    unknown = judged(Accounts(accounts=(one(logins=logins),), now=NOW), RULE).accounts[0].logins
    assert unknown is not None
    assert unknown.before is None


def test_all_hosts_of_a_user_stand_side_by_side_the_most_dangerous_user_first() -> None:
    found = Accounts(
        accounts=(
            one("zoe", host="%", powers=(SUPERUSER,)),
            one("app", host="%"),
            one("mysql.sys", host="localhost", system=True, may_login=False, powers=(SUPERUSER,)),
            one("zoe", host="10.%", may_login=False),
            one("group", host="%", role=True, may_login=False),
            one("app", host="10.%"),
        ),
        now=NOW,
    )
    labels = [label(account.name, account.host) for account in judged(found, RULE).accounts]
    assert labels == ["zoe@%", "zoe@10.%", "app@%", "app@10.%", "group@%", "mysql.sys@localhost"]


def test_a_right_is_shown_by_the_shortest_way_to_it() -> None:
    roles = graph([("dev", "team"), ("team", "ops"), ("ops", "root"), ("dev", "ops"), ("root", "dev")])
    assert reach(roles, "dev") == {"ops": ("ops",), "team": ("team",), "root": ("ops", "root")}
    own = {"root": (SUPERUSER,), "dev": (Power(name="CREATEROLE", severity=Severity.BAD),)}
    found = {power.name: power.via for power in powers_of("dev", own, roles)}
    assert found == {"CREATEROLE": (), "SUPERUSER": ("ops", "root")}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))))
def test_each_step_of_a_way_is_a_membership(pairs: list[tuple[str, str]]) -> None:
    for role, way in reach(graph(pairs), "a").items():
        assert way[-1] == role
        assert all(step in pairs for step in zip(("a", *way), way, strict=False))
