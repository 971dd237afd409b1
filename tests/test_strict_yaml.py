"""Strict YAML: what YAML 1.1 would read differently, and limits that cost nothing."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from console import strict_yaml
from console.errors import ConfigError
from console.strict_yaml import MOST_BYTES, Place, read_yaml

_PIECES = (
    *(
        "a",
        "b: ",
        "c:",
        "- ",
        "-",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        " # c",
        "#c",
        "|\n  x",
        "|-",
        ">-\n   y",
    ),
    *(
        "&a",
        "*a",
        "!t",
        "!!str x",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "@",
        "`",
        "'",
        '"',
        "\\",
        "<<",
        "''",
        "'x y'",
    ),
    *(
        "\n",
        "\n  ",
        "\n    ",
        "\r\n",
        "\r",
        "\t",
        "\x07",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\x00",
        "é",
        "漢",
    ),
    *(
        "1",
        "2.5",
        "true",
        "null",
        "~",
        "0x1f",
        "on",
        "a: 1\n",
        "b:\n  - c\n",
        "e: {f: g}\n",
        "h: [i, j]\n",
        "x" * 130,
    ),
)


def test_each_node_has_its_line_and_column() -> None:
    _, places = read_yaml("a:\n  - {b: 1, c: 2}\n", "f")
    assert places[("a", 0, "c")] == Place(2, 12)


@pytest.mark.parametrize(
    "word", ["on", "no", "yes", "12:30:00", "0x1f", "1_000", "2026-11-01", ".inf", "010.5e3"]
)
def test_what_yaml_would_convert_stays_text(word: str) -> None:
    assert read_yaml(f"k: {word}", "f")[0] == {"k": word}


def test_a_key_that_yaml_would_make_true_stays_text() -> None:
    assert read_yaml("on: x", "f")[0] == {"on": "x"}


@pytest.mark.parametrize(
    "text", ["a: &x 1\nb: *x", "a: !!python/name:os.system x", "a: 1\na: 2", "a: [1", "? [1]\n: 2"]
)
def test_what_is_not_strict_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"f, line \d+, column \d+: "):
        read_yaml(text, "f")


@pytest.mark.parametrize(
    "text", ["a: \x07", "a: 1\nb: \ud800", "a: 1\n---\nb: 2", "a: [b[0]]", "a: {b: c[0]}"]
)
def test_every_fault_has_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^f, line [12], column \d+: |^f, line 3"):
        read_yaml(text, "f")


def test_a_text_that_wants_quotes_is_told_so() -> None:
    with pytest.raises(ConfigError) as raised:
        read_yaml("a: {assert: rows[0].name == 1}", "f")
    assert "in quotes" in raised.value.hint


def test_a_number_that_is_larger_than_any_stays_text() -> None:
    assert read_yaml("a: " + "9" * 400 + ".0", "f")[0] == {"a": "9" * 400 + ".0"}


def test_the_number_of_values_is_limited() -> None:
    with pytest.raises(ConfigError, match="line 20000, column 3: there are more than 20000 values"):
        read_yaml("- a\n" * 30_000, "f")


def test_depth_is_limited() -> None:
    with pytest.raises(ConfigError, match="nested more than"):
        read_yaml("[" * 5000, "f")


def test_size_is_limited() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml("#" * (MOST_BYTES + 1), "f")


def _told(text: str) -> Any:
    try:
        return read_yaml(text, "f")
    except ConfigError as error:
        return error.message, error.hint


@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=14).map("".join))
def test_both_readers_take_and_refuse_the_same(text: str) -> None:
    fast = _told(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_yaml, "_FAST", yaml.SafeLoader)
        assert _told(text) == fast


def test_the_fast_reader_is_there() -> None:
    assert strict_yaml._FAST is yaml.CSafeLoader
