"""Guesses: what is found, what is counted, and what never comes out."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from console.model.account_findings import findings
from console.model.accounts import Account, Accounts, Power, label
from console.model.guessing import Stored, common, guess, own_words
from console.model.indexes import Severity
from console.model.scram import make as scram
from console.model.verifiers import POSTGRESQL, VerifierKind, make, native, parse


def stored(name: str, password: str, host: str | None = None) -> Stored:
    return Stored(name=name, host=host, verifier=parse(scram(password), POSTGRESQL, user=name))


def test_the_shipped_list_names_its_sources_and_has_no_word_twice() -> None:
    words = common()
    assert 300 < len(words) < 1000
    assert len(set(words)) == len(words)
    assert {"postgres", "root", "mysecretpassword", "my-secret-pw"} <= set(words)


@pytest.mark.parametrize(
    ("password", "how"),
    [
        ("Shop_Web", "the account's name"),
        ("shop_web", "small letters"),
        ("SHOP_WEB", "capitals"),
        ("beW_pohS", "backwards"),
        ("shop_web123", "digits"),
        ("Shop_Web2026", "digits"),
        ("known", "well-known"),
    ],
)
def test_a_weak_password_is_found_and_said_in_words(password: str, how: str) -> None:
    found = guess([stored("Shop_Web", password)], ["other", "known"])
    assert len(found.hits) == 1
    assert how in found.hits[0].how
    assert found.complete


def test_a_good_password_is_not_found_and_all_was_tried() -> None:
    found = guess([stored("app", "n0body-guesses-this")], common()[:20])
    assert found.hits == ()
    assert found.tried == found.of == len(list(own_words("app"))) + 20


def test_no_password_that_was_guessed_comes_out() -> None:
    word = "pa55-that-is-0nly-in-the-list"
    found = guess([stored("app", word), stored("job", word)], [word])
    said = findings(Accounts(accounts=(Account(name="app"), Account(name="job"))), found)
    assert len(found.hits) == 2
    assert word not in repr(found) + repr(said) + msgspec.json.encode(msgspec.to_builtins(said)).decode()


def test_the_password_of_one_account_is_tried_on_all_others() -> None:
    found = guess([stored("app", "app1"), stored("job", "app1"), stored("own", "else-where")], [])
    assert [hit.key[0] for hit in found.hits] == ["app", "job"]
    assert found.hits[1].how == "the password of app"
    assert found.shared == ((("app", None), ("job", None)),)


def test_equal_verifiers_without_a_salt_are_one_password_without_a_guess() -> None:
    text = native("nobody-guesses-this")
    both = [Stored(name=n, host="%", verifier=parse(text, "mysql_native_password")) for n in ("a", "b")]
    found = guess(both, [])
    assert found.hits == ()
    assert found.shared == ((("a", "%"), ("b", "%")),)


def test_time_is_up_and_what_was_not_tried_is_said() -> None:
    ticks = itertools.count()
    found = guess(
        [stored("app", "x-not-there"), stored("job", "y-not-there")],
        common(),
        seconds=10,
        clock=lambda: float(next(ticks)),
    )
    assert not found.complete
    assert 0 < found.tried < found.of
    assert found.of == 2 * len(common()) + sum(len(list(own_words(n))) for n in ("app", "job"))


def test_it_ends_when_nobody_waits_for_it() -> None:
    found = guess([stored("app", "x")], common(), stop=lambda: True)
    assert (found.tried, found.complete) == (0, False)


def test_what_cannot_be_checked_and_what_is_malformed_is_told_apart() -> None:
    found = guess(
        [
            Stored(name="p", host="%", verifier=parse("P0abc", "parsec")),
            Stored(name="m", host="%", verifier=parse("invalid", "mysql_native_password")),
            Stored(name="e", host="%", verifier=parse("", "mysql_native_password")),
            Stored(name="s", host="%", verifier=parse("", "unix_socket")),
        ],
        ["x"],
    )
    assert found.unchecked == ((("p", "%"), "parsec"),)
    assert found.malformed == (("m", "%"),)
    assert (found.tried, found.hits) == (0, ())


@pytest.mark.parametrize(
    ("kind", "plugin"),
    [(VerifierKind.CACHING_SHA2, "caching_sha2_password"), (VerifierKind.ED25519, "ed25519")],
)
def test_every_kind_is_guessed(kind: VerifierKind, plugin: str) -> None:
    verifier = parse(make(kind, "root123"), plugin)
    assert [hit.key for hit in guess([Stored(name="root", host="%", verifier=verifier)], []).hits] == [
        ("root", "%")
    ]


# ---- findings without a guess ----------------------------------------------------------------

SUPER = Power(name="SUPER", severity=Severity.BAD)


def what(*accounts: Account) -> set[tuple[str, str]]:
    return {(one.account, one.what) for one in findings(Accounts(accounts=accounts), None)}


def test_open_doors_are_found_the_worst_first() -> None:
    found = findings(
        Accounts(
            accounts=(
                Account(name="", host="localhost", no_password=True),
                Account(name="app", host="%", no_password=True, powers=()),
                Account(name="dba", host="%", no_password=False, powers=(SUPER,)),
            )
        ),
        None,
    )
    assert [one.severity for one in found] == sorted((one.severity for one in found), reverse=True)
    assert {(one.account, one.what) for one in found} >= {
        ("''@localhost", "anonymous account"),
        ("app@%", "no password"),
        ("app@%", "any host"),
        ("dba@%", "rights over everything"),
    }
    assert all(one.why and one.remedy for one in found)


def test_a_role_of_postgresql_without_a_password_is_no_open_door() -> None:
    assert what(Account(name="app", no_password=True)) == set()


def test_locked_accounts_groups_and_the_servers_own_are_left_alone() -> None:
    bad = {"host": "%", "no_password": True}
    assert (
        what(
            Account(name="a", may_login=False, **bad),  # type: ignore[arg-type]
            Account(name="b", role=True, **bad),  # type: ignore[arg-type]
            Account(name="c", system=True, **bad),  # type: ignore[arg-type]
        )
        == set()
    )


def test_weak_plugins_and_open_overlaps_are_named() -> None:
    found = what(
        Account(name="a", kinds=(VerifierKind.MD5,)),
        Account(name="b", host="10.%", kinds=(VerifierKind.NATIVE,), overlap=True),
    )
    assert found == {
        ("a", "md5 verifier"),
        ("b@10.%", "mysql_native_password"),
        ("b@10.%", "an older password is valid"),
    }


def test_an_account_is_shadowed_by_a_narrower_host_and_by_the_anonymous_one() -> None:
    accounts = [
        Account(name=name, host=host, no_password=False)
        for name, host in (("app", "%"), ("app", "10.1.%"), ("", "localhost"), ("job", "localhost"))
    ]
    found = [one for one in findings(Accounts(accounts=tuple(accounts)), None) if one.what == "shadowed"]
    said = {
        (one.account, other) for one in found for other in ("app@10.1.%", "''@localhost") if other in one.why
    }
    assert said == {("app@%", "app@10.1.%"), ("app@%", "''@localhost")}
    assert label("job", "localhost") not in {one.account for one in found}
