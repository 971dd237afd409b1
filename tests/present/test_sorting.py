"""Cells sort by what they mean: ages, sizes and counts as they are written, words by their letters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.present.sorting import Order, clicked, following, ordered, value
from console.present.table import Column, Line
from console.present.units import age, count, size, span

COLUMNS = (
    Column(title="name", width=9),
    Column(title="wait", width=6, align="right"),
    Column(title="", width=9),
    Column(title="size", width=6, align="right"),
)


@pytest.mark.parametrize("say", [age, count, size, span])
@given(one=st.floats(0, 1e9), other=st.floats(0, 1e9))
def test_what_is_more_never_sorts_before_what_is_less(
    say: Callable[[float], str], one: float, other: float
) -> None:
    less, more = sorted((one, other))
    assert value(say(less)) <= value(say(more))


def lines(*cells: str) -> list[Line]:
    return [Line(key=str(place), cells=(cell,)) for place, cell in enumerate(cells)]


def texts(found: list[Line]) -> list[str]:
    return [line.cells[0] for line in found]


def test_unknown_and_empty_come_last_both_ways() -> None:
    given_ = lines("?", "4m07", "", "3s", "1h02")
    assert texts(ordered(given_, Order(0, down=False))) == ["3s", "4m07", "1h02", "?", ""]
    assert texts(ordered(given_, Order(0, down=True))) == ["1h02", "4m07", "3s", "?", ""]


def test_words_come_after_figures_and_equals_stay_as_they_were() -> None:
    found = ordered(lines("ROOT", "2s", "Abc", "2s"), Order(0, down=False))
    assert [(line.key, line.cells[0]) for line in found] == [
        ("1", "2s"),
        ("3", "2s"),
        ("2", "Abc"),
        ("0", "ROOT"),
    ]


def test_a_click_sorts_the_second_turns_round_and_the_third_gives_back() -> None:
    first = clicked(COLUMNS, None, 1)
    assert first == Order(1, down=True), "figures begin with the largest"
    second = clicked(COLUMNS, first, 1)
    assert second == Order(1, down=False)
    assert clicked(COLUMNS, second, 1) is None
    assert clicked(COLUMNS, first, 0) == Order(0, down=False)


def test_the_key_walks_through_the_columns_that_have_a_title() -> None:
    seen, order = [], following(COLUMNS, None)
    while order is not None:
        seen.append(order.column)
        order = following(COLUMNS, order)
    assert seen == [0, 1, 3]


def test_figures_come_before_words_the_other_way_round_too() -> None:
    assert texts(ordered(lines("ROOT", "2s", "1m00"), Order(0, down=True))) == ["1m00", "2s", "ROOT"]


def test_estimates_bounds_and_marks_sort_by_their_figure() -> None:
    sizes = lines("~96 kB", "~1.7 MB", ">26 MB", "8.0 kB")
    assert texts(ordered(sizes, Order(0, down=True))) == [">26 MB", "~1.7 MB", "~96 kB", "8.0 kB"]
    ages = lines("5m54a", "20s", "1h02a", "~3m10", "2da")
    assert texts(ordered(ages, Order(0, down=False))) == ["20s", "~3m10", "5m54a", "1h02a", "2da"]
