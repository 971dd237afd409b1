"""Golden values: whoever changes a format breaks every ledger there is."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from console.audit import chain
from console.audit.record import Row
from tests.audit.forge import row

WRITER = UUID("11111111-2222-4333-8444-555555555555")
ACTION = UUID("66666666-7777-4888-9999-aaaaaaaaaaaa")
AT = datetime(2026, 11, 21, 10, 20, 30, 123456, tzinfo=UTC)
BODY = '{"statement":"select \'é😀\'"}'


def golden() -> Row:
    over = {"kind": "intent", "action_id": ACTION, "parent": WRITER, "idempotency_key": "schlüssel"}
    return row(chain.Head(0, chain.START), WRITER, BODY, **over)


def test_golden_body_hash() -> None:
    assert golden().body_hash.hex() == "63d34f2d3b7f37d022102c2fc72d4d6cb20990a588e95cad8c228b5161e47fd0"


def test_golden_link() -> None:
    assert golden().link.hex() == "3361f96e6faa6ad2ca93c39d05bf36cf63e44dc37093da146e156784280c957b"


def test_golden_seal() -> None:
    made = chain.seal(golden().link, chain.START, AT, "dba@é", "10.0.0.1")
    assert made.hex() == "aeab1ff9271d1d8fff4d9d58c05402fe829c5b312ff0d931cf72b734b624b349"


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_no_two_lists_of_fields_have_one_digest(left: list[str], right: list[str]) -> None:
    same = chain._digest("x", *left) == chain._digest("x", *right)
    assert same == (left == right)


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact(at: datetime) -> None:
    whole, rest = divmod(chain.microseconds(at), 1_000_000)
    assert rest == at.microsecond
    assert whole == int(at.replace(microsecond=0).timestamp())
