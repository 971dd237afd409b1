from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.present.units import (
    age,
    cell_width,
    clean,
    clean_block,
    clip,
    count,
    pad,
    size,
    skip,
    span,
    visible,
    waited,
    with_name,
)

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x00\x07\x1b\x7f\x85\x9b\r\n\t\u202e\u2066\u200b\u200d\ufe0f\ufeff\ud800 [漢字e\u0301"
        ),
    )
)


def unsafe(text: str, allowed: str = "") -> list[str]:
    """What could move a cursor, reorder text or hide in it."""
    return [c for c in text if c not in allowed and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(HOSTILE)
def test_a_cleaned_line_holds_nothing_a_terminal_would_obey(text: str) -> None:
    assert unsafe(clean(text)) == []
    clean(text).encode()


@given(HOSTILE)
def test_a_cleaned_block_keeps_only_line_ends(text: str) -> None:
    assert unsafe(clean_block(text), "\n") == []


@given(st.text())
def test_what_is_made_visible_is_as_long_and_can_be_printed(text: str) -> None:
    seen = visible(text)
    assert len(seen) == len(text)
    assert seen.isprintable()
    assert all(new == old for old, new in zip(text, seen, strict=True) if old.isascii() and old.isprintable())


def test_line_ends_and_controls_have_pictures() -> None:
    assert visible("a\nb\tc\x1b\u2028d\u202ee\u3164") == "a␊b␉c␛␤d\ufffde\ufffd"


@given(HOSTILE, st.integers(0, 20))
def test_cleaning_twice_changes_nothing_more(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert len(once) <= limit
    block = clean_block(text, limit)
    assert clean_block(block, limit) == block
    assert len(block) <= limit


@given(HOSTILE.map(clean), st.integers(-1, 30))
def test_no_output_is_wider_than_asked(text: str, width: int) -> None:
    assert cell_width(clip(text, width)) <= max(0, width)
    assert clip(clip(text, width), width) == clip(text, width)
    assert cell_width(pad(text, width)) == max(0, width)
    assert cell_width(pad(text, width, "right")) == max(0, width)


@given(HOSTILE.map(clean), st.integers(0, 30))
def test_skipping_cells_leaves_the_rest(text: str, cells: int) -> None:
    assert cell_width(skip(text, cells)) == max(0, cell_width(text) - cells)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("select 1", "select 1"),
        ("select\r\n\t  1", "select 1"),
        ("a  b", "a  b"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x9b31m", "\ufffd31m"),
        ("a\x7fb", "a␡b"),
        ("pay\u202eroll", "pay\ufffdroll"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("lone\ud800", "lone\ufffd"),
        ("❤\ufe0f", "❤"),
        ("non\u00a0breaking", "non breaking"),
        ("[red]x[/]", "[red]x[/]"),
        ("größe 漢字", "größe 漢字"),
    ],
)
def test_a_line_is_shown_as(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_only_the_beginning_of_a_long_statement_is_looked_at() -> None:
    assert clean("x" * 10_000_000, 5) == "xxxx…"
    assert clean_block("\t\t", 5) == "    …"


def test_a_block_keeps_its_lines() -> None:
    assert clean_block("select\r\n\t1\x1b") == "select\n    1␛"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "?"),
        (float("nan"), "?"),
        (-0.4, "0s"),
        (3.9, "3s"),
        (59.99, "59s"),
        (60, "1m00"),
        (247, "4m07"),
        (600, "10m"),
        (3599, "59m"),
        (3720, "1h02"),
        (86_399, "23h59"),
        (3 * 86_400 + 4 * 3600, "3d04h"),
        (100 * 86_400, "100d"),
    ],
)
def test_ages(seconds: float | None, shown: str) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "?"),
        (0, "0"),
        (9999, "9999"),
        (10_000, "10k"),
        (1_234_567, "1.2M"),
        (999_999, "1.0M"),
        (-20_000, "-20k"),
    ],
)
def test_counts(number: float | None, shown: str) -> None:
    assert count(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 kB"),
        (1_048_575, "1.0 MB"),
        (35 * 1024**2, "35 MB"),
        (9 * 1024**5, "9.0 PB"),
    ],
)
def test_sizes(number: float | None, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("漢字", 3, "漢…"),
        ("漢字", 4, "漢字"),
        ("漢字", 2, "…"),
        ("abc", 0, ""),
    ],
)
def test_clipping(text: str, width: int, shown: str) -> None:
    assert clip(text, width) == shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "?"), (0, "0s"), (0.0004, "1ms"), (0.3, "300ms"), (0.9996, "1s"), (1.0, "1s"), (1.5, "1.5s"),
     (2, "2s"), (9.96, "10s"), (12.3, "12s"), (247, "4m07")],
)  # fmt: skip
def test_a_short_span_is_told_finely(seconds: float | None, said: str) -> None:
    assert span(seconds) == said


def test_waiting_of_unknown_length_is_not_called_none() -> None:
    assert waited(24.0, 2, 0) == "24s of waiting"
    assert waited(24.0, 3, 1) == "at least 24s of waiting"
    assert waited(0.0, 1, 1) == "an unknown time of waiting"
    assert waited(0.0, 0, 0) == "0s of waiting"


@pytest.mark.parametrize(
    ("text", "width", "wanted"),
    [
        ("warehouse_eu_west.orders", 22, "warehouse_eu_w….orders"),
        ("warehouse_eu_west.orders index PRIMARY (100)", 22, "warehouse_eu_….orders index PRIMARY (100)"),
        ("row (6,52) of warehouse.orders", 22, "row (6,52) of w….orders"),
        ("shop.orders index PRIMARY (100)", 22, "shop.orders index PRIMARY (100)"),
        ('"Ware.House"."Or.ders"', 18, '"Ware.H…."Or.ders"'),
        ("transaction 826", 8, "transaction 826"),
        ("advisory 1.2 of 3.4", 8, "advisory 1.2 of 3.4"),
        ("a.verylongname", 8, "a.verylongname"),
    ],
)
def test_where_no_room_is_for_both_the_schema_is_cut_and_the_name_stays(
    text: str, width: int, wanted: str
) -> None:
    assert with_name(text, width) == wanted
