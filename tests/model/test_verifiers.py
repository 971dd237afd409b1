"""Verifiers against the words of the standards and against other people's makers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.pq import PGconn

from console.errors import UsageError
from console.model import ed25519, scram, sha256_crypt
from console.model.saslprep import prepared
from console.model.verifiers import (
    POSTGRESQL,
    VerifierKind,
    fingerprint,
    make,
    matches,
    native,
    parse,
    sendable,
)
from console.secrets import Secret
from tests.passwords import ANY, NASTY

MADE = (VerifierKind.SCRAM, VerifierKind.CACHING_SHA2, VerifierKind.NATIVE, VerifierKind.ED25519)


def plugin(kind: VerifierKind) -> str:
    return POSTGRESQL if kind in (VerifierKind.SCRAM, VerifierKind.MD5) else kind


def by_libpq(password: str) -> str:
    """libpq's own PQencryptPasswordConn, which needs no server for SCRAM."""
    connection = PGconn.connect_start(b"host=/nowhere")
    made = connection.encrypt_password(password.encode(), b"somebody", b"scram-sha-256")
    connection.finish()
    return made.decode()


# ---- what is made, is known again ------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("password", NASTY.values(), ids=NASTY)
def test_what_is_made_fits_its_password_and_no_other(kind: VerifierKind, password: str) -> None:
    found = parse(make(kind, Secret(password)), plugin(kind))
    assert found is not None
    assert found.kind is kind
    assert matches(found, Secret(password))
    assert not matches(found, password + "x")
    assert not matches(found, "")


@pytest.mark.parametrize("kind", MADE)
@given(password=ANY)
def test_any_password_makes_a_verifier_that_may_be_sent(kind: VerifierKind, password: str) -> None:
    assert sendable(make(kind, password), plugin(kind)).kind is kind


@pytest.mark.parametrize("kind", [VerifierKind.SCRAM, VerifierKind.CACHING_SHA2])
def test_two_verifiers_of_one_password_have_two_salts(kind: VerifierKind) -> None:
    assert make(kind, "secret") != make(kind, "secret")


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("password", ["", "with\0nul", "x" * 257, "\ud800"])
def test_no_verifier_is_made_of_what_is_no_password(kind: VerifierKind, password: str) -> None:
    with pytest.raises(UsageError) as refused:
        make(kind, password)
    assert not password or password not in refused.value.message


@pytest.mark.parametrize("kind", [VerifierKind.MD5, VerifierKind.PARSEC, VerifierKind.EMPTY])
def test_weak_and_unknown_kinds_are_not_made(kind: VerifierKind) -> None:
    with pytest.raises(UsageError, match="not made"):
        make(kind, "secret")


def test_the_cost_is_the_servers_and_never_less_than_the_least() -> None:
    assert make(VerifierKind.SCRAM, "x", cost=1).startswith("SCRAM-SHA-256$4096:")
    assert make(VerifierKind.SCRAM, "x", cost=10000).startswith("SCRAM-SHA-256$10000:")
    assert make(VerifierKind.CACHING_SHA2, "x", cost=1).startswith("$A$005$")
    assert make(VerifierKind.CACHING_SHA2, "x", cost=10000).startswith("$A$00A$")
    assert make(VerifierKind.CACHING_SHA2, "x", cost=5001).startswith("$A$006$")


def test_a_salt_that_no_server_keeps_is_refused() -> None:
    with pytest.raises(UsageError, match="salt"):
        make(VerifierKind.CACHING_SHA2, "x", salt=b"short")


# ---- oracles ---------------------------------------------------------------------------------


@given(password=ANY)
@example(password="\u200b")  # a space, and a character that is left out
@example(password="1\u200b")
@example(password="\ufa6b")  # unassigned in Unicode 3.2; what it is normalized to is not
@example(password="\ufc8e1")  # from right to left, with a digit at its end
def test_scram_is_what_libpq_makes(password: str) -> None:
    theirs = by_libpq(password)
    parts = scram.parse(theirs)
    assert parts is not None
    assert scram.make(password, parts.iterations, parts.salt) == theirs
    found = parse(theirs, POSTGRESQL)
    assert found is not None
    assert matches(found, password)


def test_scram_is_what_the_standard_says() -> None:
    """RFC 7677, 3: user, pencil."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    keys = scram._keys("pencil", salt, 4096)
    assert keys[0] == hashlib.sha256(_client_key("pencil", salt)).digest()
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    assert (
        base64.b64encode(hmac.digest(keys[1], message, "sha256"))
        == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def _client_key(password: str, salt: bytes) -> bytes:
    return hmac.digest(hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096), b"Client Key", "sha256")


@pytest.mark.parametrize(
    ("rounds", "salt", "password", "found"),
    [
        (5000, b"saltstring", b"Hello world!", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
        (10000, b"saltstringsaltst", b"Hello world!", "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
        (77777, b"short", b"we have a short salt string but not a short password",
         "JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/"),
    ],
)  # fmt: skip
def test_sha_crypt_is_what_its_paper_says(rounds: int, salt: bytes, password: bytes, found: str) -> None:
    """The samples of Drepper's paper, where their salts are short enough to stand there whole."""
    assert sha256_crypt.digest(password, salt, rounds) == found


@given(seed=st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=32, max_size=32))
def test_ed25519_of_32_bytes_is_a_standard_public_key(seed: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed.encode()).public_key()
    public = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert ed25519.make(seed) == base64.b64encode(public).decode().rstrip("=")


def test_native_is_what_the_manual_says() -> None:
    assert native("mypass") == "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"


def test_md5_is_salted_with_the_role() -> None:
    text = "md5" + hashlib.md5(b"secretshop_web").hexdigest()
    found = parse(text, POSTGRESQL, user="shop_web")
    assert found is not None
    assert (found.kind, matches(found, "secret")) == (VerifierKind.MD5, True)
    other = parse(text, POSTGRESQL, user="shop_job")
    assert other is not None
    assert not matches(other, "secret")


@pytest.mark.parametrize(
    ("given_", "prepared_"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("ª", "a"),
        ("Ⅸ", "IX"),
        ("\u0007é", "\u0007é"),
        ("\u06271", "\u06271"),
        ("\u00ad", "\u00ad"),
        ("a\u00a0b", "a b"),
    ],
)
def test_saslprep_falls_back_to_what_was_given(given_: str, prepared_: str) -> None:
    """RFC 4013, 3, with PostgreSQL's way for what it prohibits."""
    assert prepared(given_) == prepared_


# ---- shapes ----------------------------------------------------------------------------------

GOOD = scram.make("x", salt=b"sixteen bytes ok")


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        GOOD + "\n",
        " " + GOOD,
        GOOD.lower(),
        GOOD.replace("$", ":"),
        GOOD[:-2] + "=",
        GOOD.replace("SCRAM-SHA-256$4096", "SCRAM-SHA-256$0"),
        GOOD.replace("SCRAM-SHA-256$4096", "SCRAM-SHA-256$9999999999"),
        GOOD.replace("4096:", "4096:A"),
        "SCRAM-SHA-256$4096:$" + GOOD.partition("$")[2].partition("$")[2],
        "md5" + "g" * 32,
        "md5" + "A" * 32,
        "md5" + "0" * 31,
    ],
)
def test_postgresql_would_take_it_for_a_password_so_it_is_no_verifier(text: str) -> None:
    assert parse(text, POSTGRESQL) is None
    with pytest.raises(UsageError) as refused:
        sendable(text, POSTGRESQL)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "plugin_"),
    [
        ("*" + "0" * 39, "mysql_native_password"),
        ("*" + "g" * 40, "mysql_native_password"),
        ("invalid", "mysql_native_password"),
        ("invalid", ""),
        ("$A$005$" + "x" * 62, "caching_sha2_password"),
        ("$A$000$" + "x" * 63, "caching_sha2_password"),
        ("$5$" + "x" * 64, "sha256_password"),
        ("x" * 42, "ed25519"),
        ("x" * 43, "ed25519"),
    ],
)
def test_a_malformed_verifier_of_mysql_is_none(text: str, plugin_: str) -> None:
    assert parse(text, plugin_) is None


@pytest.mark.parametrize("plugin_", ["mysql_native_password", "caching_sha2_password", "ed25519", ""])
def test_an_empty_verifier_means_no_password_and_is_never_sent(plugin_: str) -> None:
    found = parse("", plugin_)
    assert found is not None
    assert found.kind is VerifierKind.EMPTY
    assert matches(found, "")
    with pytest.raises(UsageError, match="not sent"):
        sendable("", plugin_)


@pytest.mark.parametrize(
    ("plugin_", "kind"),
    [
        ("unix_socket", VerifierKind.EXTERNAL),
        ("auth_socket", VerifierKind.EXTERNAL),
        ("authentication_ldap_simple", VerifierKind.EXTERNAL),
        ("parsec", VerifierKind.PARSEC),
        ("mysql_old_password", VerifierKind.OLD),
        ("of_tomorrow", VerifierKind.OTHER),
    ],
)
def test_what_cannot_be_checked_is_a_kind_and_no_verdict(plugin_: str, kind: VerifierKind) -> None:
    found = parse("P0aabbccddeeff00" if kind is not VerifierKind.OLD else "0123456789abcdef", plugin_)
    assert found is not None
    assert (found.kind, found.kind.checkable) == (kind, False)
    with pytest.raises(UsageError, match="compared"):
        matches(found, "x")


# ---- nothing of it is shown ------------------------------------------------------------------


def test_a_verifier_shows_as_its_kind_only() -> None:
    found = parse(GOOD, POSTGRESQL)
    shown = f"{found!r} {found} {[found]}"
    assert GOOD[20:] not in shown
    assert "scram-sha-256" in shown
    for encode in (pickle.dumps, json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError) as refused:
            encode(found)
        assert GOOD not in str(refused.value)


def test_a_fingerprint_tells_a_change_and_needs_the_key() -> None:
    key = b"k" * 32
    assert fingerprint(key, GOOD) == fingerprint(key, GOOD)
    assert len(fingerprint(key, GOOD)) == 32
    assert len({fingerprint(key, GOOD), fingerprint(key, scram.make("x")), fingerprint(b"o", GOOD)}) == 3


def test_the_oracle_is_a_recent_libpq() -> None:
    assert psycopg.pq.version() >= 150000
