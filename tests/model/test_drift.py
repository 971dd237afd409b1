"""Same, changed or unknown: by the fingerprint of our last rotation and what a server keeps now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from console.model.drift import (
    NO_FINGERPRINT,
    OTHER_KEY,
    OTHER_SERVER,
    UNSETTLED,
    Compared,
    Drift,
    Rotated,
    compare,
    unreadable,
)
from console.model.verifiers import (
    KEY_BYTES,
    Verifier,
    VerifierKind,
    fingerprint,
    fingerprint_key,
    key_id,
)
from console.secrets import Secret

KEY, OTHER = bytes(range(KEY_BYTES)), bytes(KEY_BYTES)
AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NOW = AT + timedelta(days=9)
OURS = Verifier(VerifierKind.SCRAM, "ours")
THEIRS = Verifier(VerifierKind.SCRAM, "theirs")
KNOWN = Rotated(at=AT, fingerprint=fingerprint(KEY, OURS), key=key_id(KEY), exact=True, server="7")
HERE = ("7", NOW)


def test_ours_is_the_same_since_our_rotation() -> None:
    assert compare(KNOWN, KEY, [OURS], HERE) == Compared(drift=Drift.SAME, since=AT, exact=True, seen_at=NOW)


def test_ours_among_several_is_the_same() -> None:
    assert compare(KNOWN, KEY, [THEIRS, OURS, None], HERE).drift is Drift.SAME


@pytest.mark.parametrize("kept", [[THEIRS], [], [None]], ids=["another", "none", "malformed"])
def test_anything_else_was_changed_outside(kept: list[Verifier | None]) -> None:
    assert compare(KNOWN, KEY, kept, HERE) == Compared(drift=Drift.CHANGED, since=AT, seen_at=NOW)


def test_the_time_it_was_last_seen_the_same_narrows_when_it_was_changed() -> None:
    later = AT + timedelta(days=3)
    assert compare(KNOWN, KEY, [THEIRS], HERE, later).since == later
    assert compare(KNOWN, KEY, [THEIRS], HERE, AT - timedelta(days=3)).since == AT


@pytest.mark.parametrize("kept", [[OURS], [THEIRS]])
def test_without_a_fingerprint_or_its_key_it_is_unknown(kept: list[Verifier | None]) -> None:
    bare = replace(KNOWN, fingerprint=None)
    assert compare(bare, KEY, kept, HERE) == Compared(why=NO_FINGERPRINT)
    assert compare(KNOWN, OTHER, kept, HERE) == Compared(why=OTHER_KEY)
    assert unreadable(KNOWN, None) == OTHER_KEY


def test_a_rotation_that_has_not_ended_may_have_changed_it() -> None:
    known = replace(KNOWN, unsettled=True)
    assert compare(known, KEY, [THEIRS], HERE) == Compared(why=UNSETTLED)
    assert compare(known, KEY, [OURS], HERE).drift is Drift.SAME


def test_another_server_of_the_same_name_is_not_accused() -> None:
    assert compare(KNOWN, KEY, [THEIRS], ("8", NOW)) == Compared(why=OTHER_SERVER)
    assert compare(KNOWN, KEY, [OURS], ("8", NOW)).drift is Drift.SAME


def test_who_was_never_rotated_has_nothing_to_tell() -> None:
    assert not Compared().told
    assert Compared(why=OTHER_KEY).told


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), st.text())
def test_a_key_survives_its_entry_and_nothing_else_is_one(key: bytes, text: str) -> None:
    assert fingerprint_key(Secret(key.hex())) == key
    assert (fingerprint_key(Secret(text)) is None) is (not _is_key(text))


def _is_key(text: str) -> bool:
    return len(text) == 2 * KEY_BYTES and all(char in "0123456789abcdef" for char in text)


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_the_id_of_a_key_is_short_and_no_part_of_it(key: bytes) -> None:
    assert len(key_id(key)) == 16
    assert key_id(key) not in key.hex()
