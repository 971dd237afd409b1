"""The file's bytes: every bit counts, names and values come back, and nothing shows what is secret."""

from __future__ import annotations

import hashlib
import json
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.secrets import Secret
from console.vault.sealed import (
    DamagedError,
    Header,
    derive,
    new_kdf,
    open_entries,
    open_value,
    parse,
    seal,
    seal_value,
)
from console.vault.store import COST

KEY = derive(Secret("master"), new_kdf(2))
HEADER = Header(id="a", generation=1, at=datetime(2026, 11, 21, tzinfo=UTC), kdf=KEY.kdf, check=KEY.check)
TEXT = st.text(max_size=20)
ENTRIES = st.dictionaries(st.tuples(TEXT, TEXT), TEXT, max_size=5)


def sealed(entries: dict[tuple[str, str], str]) -> bytes:
    values = {name: seal_value(HEADER, KEY, name, Secret(value)) for name, value in entries.items()}
    return seal(HEADER, values, KEY)


@given(ENTRIES)
def test_what_goes_in_comes_out(entries: dict[tuple[str, str], str]) -> None:
    whole = parse(sealed(entries))
    found = open_entries(whole, KEY)
    assert whole.header == HEADER
    assert {name: open_value(HEADER, KEY, name, value) for name, value in found.items()} == {
        name: Secret(value) for name, value in entries.items()
    }


WHOLE = sealed({("dbdeck", "one"): "1", ("dbdeck", "two"): "2"})


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_any_bit_that_is_changed_is_noticed(bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedError):
        parse(bytes(changed))


@given(st.integers(0, len(WHOLE) - 1))
def test_any_part_of_it_is_noticed(length: int) -> None:
    with pytest.raises(DamagedError):
        parse(WHOLE[:length])


@given(st.binary(max_size=200))
def test_anything_else_is_no_vault(raw: bytes) -> None:
    with pytest.raises(DamagedError):
        parse(raw)


@settings(max_examples=300)
@given(st.integers(0, (len(WHOLE) - 32) * 8 - 1))
def test_a_bit_changed_together_with_the_checksum_opens_nothing(bit: int) -> None:
    changed = bytearray(WHOLE[:-32])
    changed[bit // 8] ^= 1 << bit % 8
    try:
        whole = parse(bytes(changed) + hashlib.sha256(changed).digest())
    except DamagedError:
        return
    if KEY.fits(whole.header):
        with pytest.raises(DamagedError):
            open_entries(whole, KEY)


@pytest.mark.parametrize("over", [{"n": 3}, {"n": 2**30}, {"r": 0}, {"p": 10**6}, {"salt": 7}])
def test_a_header_that_would_cost_too_much_or_makes_no_sense_is_refused(over: dict[str, int]) -> None:
    magic, line, rest = WHOLE[:-32].split(b"\n", 2)
    header = json.loads(line)
    header["kdf"] |= over
    content = b"\n".join((magic, json.dumps(header).encode(), rest))
    with pytest.raises(DamagedError):
        parse(content + hashlib.sha256(content).digest())


def test_two_times_the_same_are_two_files() -> None:
    assert sealed({("a", "b"): "c"}) != sealed({("a", "b"): "c"})


def test_the_cost_is_what_the_research_asks_for() -> None:
    kdf = new_kdf(COST)
    assert (kdf.n, kdf.r, kdf.p) == (65536, 8, 1)
    assert len(kdf.salt) == 32


def test_a_key_is_not_shown_and_not_pickled() -> None:
    assert f"{KEY!r} {KEY}" == "*** ***"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
