"""Which keys a line of some width shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.tui.widgets.bars import Key, fit_keys

KEYS = [
    Key("v", "v", "vacuum"),
    Key("h", "h", "whole database", short="all"),
    Key("x", "x", "reindex", rank=2),
    Key("?", "?", "help", rank=0),
    Key("q", "q", "quit", rank=5),
]


def line(width: int) -> str:
    return "".join([" ", "  ".join(f"{key.key} {key.label}" for key in fit_keys(KEYS, width))])


def test_with_room_all_stand_in_whole_words() -> None:
    assert line(80) == " v vacuum  h whole database  x reindex  ? help  q quit"


def test_with_less_room_words_are_shortened_before_a_key_goes() -> None:
    assert line(50) == " v vacuum  h all  x reindex  ? help  q quit"


def test_the_highest_rank_goes_first_and_of_equals_the_last() -> None:
    assert line(40) == " v vacuum  h all  x reindex  ? help"
    assert line(26) == " v vacuum  h all  ? help"
    assert line(20) == " v vacuum  ? help"


def test_rank_nought_stays() -> None:
    assert line(1) == " ? help"


@given(st.integers(8, 200))
def test_a_line_is_never_longer_than_its_width(width: int) -> None:
    assert len(line(width)) <= width
