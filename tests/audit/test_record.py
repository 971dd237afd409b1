"""The exact text of a record."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit.record import (
    Entry,
    Kind,
    Row,
    canonical_json,
    decode_entry,
    decode_row,
    encode,
    from_iso,
    iso,
)
from console.secrets import Secret
from tests.audit.forge import Forge

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec=None, categories=None))
    | st.floats(allow_nan=False, allow_infinity=False)
)
BODIES = st.dictionaries(
    st.text(),
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20),
)


@given(BODIES)
def test_reads_back_as_the_same_values(body: dict[str, object]) -> None:
    assert json.loads(canonical_json(body)) == body


def by_hand(value: object) -> str:
    """The same text, piece by piece."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{by_hand(name)}:{by_hand(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(by_hand(item) for item in value) + "]"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(f"\\u{ord(sign):04x}" if "\ud800" <= sign <= "\udfff" else sign for sign in text)


@given(BODIES)
def test_the_text_of_the_whole_is_made_of_the_texts_of_its_parts(body: dict[str, object]) -> None:
    assert canonical_json(body) == by_hand(body)


@given(BODIES, st.randoms())
def test_the_order_of_the_keys_does_not_matter(body: dict[str, object], random: object) -> None:
    shuffled = dict(sorted(body.items(), key=lambda item: hash((id(random), item[0]))))
    assert canonical_json(shuffled) == canonical_json(body)


@given(BODIES)
def test_any_text_becomes_utf8_without_line_ends_or_nul(body: dict[str, object]) -> None:
    data = canonical_json(body).encode()
    assert not any(byte in data for byte in b"\n\r\0")


def test_the_exact_text() -> None:
    body = {
        "b": [1, 2.5, True, None],
        "a": {"é": "ü\n"},
        "at": datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=2))),
        "id": UUID(int=1),
        "n": Decimal("1.10"),
        "kind": Kind.INTENT,
        "raw": "\udcff",
    }
    assert canonical_json(body) == (
        '{"a":{"é":"ü\\n"},"at":"2026-11-21T10:00:00.000000Z","b":[1,2.5,true,null],'
        '"id":"00000000-0000-0000-0000-000000000001","kind":"intent","n":"1.10","raw":"\\udcff"}'
    )


@pytest.mark.parametrize(
    "value",
    [Secret("hunter2"), {1, 2}, b"x", object(), {1: "x"}, datetime(2026, 1, 1)],  # noqa: DTZ001
)
def test_refuses_what_has_no_exact_text(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        canonical_json({"deep": [{"value": value}]})
    assert "hunter2" not in str(caught.value)


class Odd(Mapping[object, object]):
    """A mapping that is no dict."""

    def __init__(self, inside: dict[object, object]) -> None:
        self.inside = inside

    def __getitem__(self, name: object) -> object:
        return self.inside[name]

    def __iter__(self) -> Iterator[object]:
        return iter(self.inside)

    def __len__(self) -> int:
        return len(self.inside)


def test_any_mapping_is_recorded_and_its_keys_are_text() -> None:
    assert canonical_json({"x": Odd({"b": (1,), "a": Odd({})})}) == '{"x":{"a":{},"b":[1]}}'
    with pytest.raises(TypeError, match="keys"):
        canonical_json({"x": (Odd({"a": {1: "x"}}),)})


def test_a_secret_is_refused_as_a_key_too() -> None:
    with pytest.raises(TypeError):
        canonical_json({Secret("hunter2"): 1})  # type: ignore[dict-item]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_refuses_numbers_that_json_has_not(value: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        canonical_json({"x": value})


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_keep_their_microseconds(at: datetime) -> None:
    assert from_iso(iso(at)) == at


def test_rows_survive_their_line() -> None:
    made = Forge().append(uuid4(), {"x": "é"}, kind="intent", idempotency_key="k", parent=uuid4())
    line = json.loads(canonical_json(encode(made)))
    assert decode_entry(line) == made
    assert type(decode_entry(line)) is Entry
    assert decode_row(line) == Row(**{name: getattr(made, name) for name in Row.__struct_fields__})
