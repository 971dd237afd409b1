"""On a terminal that is not of UTF-8 each cell is drawn with what it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.present.plain import Plain, codec_of
from console.present.units import cell_width, clean


@pytest.mark.parametrize(
    ("environment", "encoding", "codec"),
    [
        ({"LANG": "en_US.UTF-8"}, "utf-8", None),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "utf-8", "ascii"),
        ({"LC_ALL": "", "LANG": "de_DE.ISO-8859-15@euro"}, "iso8859-15", "iso8859-15"),
        ({"LANG": "en_US"}, "iso8859-1", "iso8859-1"),
        ({"LC_CTYPE": "C.UTF-8"}, "utf-8", None),
        ({}, "utf-8", None),
        ({"LANG": "xx.nonsense"}, "utf-8", "ascii"),
    ],
)
def test_the_locale_says_what_the_terminal_has(
    environment: dict[str, str], encoding: str, codec: str | None
) -> None:
    assert codec_of(environment, encoding) == codec


def test_tree_marks_plots_and_frames_have_something_that_stands_for_them() -> None:
    shown = "► ╰ 17 ┄ ↻ ▁▂▃▄▅▆▇█ ● ○ ▲ ■ ┌─┐│ a … · größe 漢 e\u0301".translate(Plain("ascii"))
    assert shown == "> ` 17 . @ _.-=+*#@ * o ^ # +-+| a ~ . gr??e ?? e"


def test_what_the_terminal_has_stays() -> None:
    assert "größe …".translate(Plain("iso8859-1")) == "größe ~"


@given(st.text())
def test_no_cell_moves(text: str) -> None:
    text = clean(text)
    shown = text.translate(Plain("ascii"))
    assert shown.isascii()
    assert cell_width(shown) == cell_width(text)


def test_escape_sequences_stay_as_they_are() -> None:
    codes = "\x1b[38;2;1;2;3m\x1b]0;title\x07\x1b[?25l\r\n"
    assert codes.translate(Plain("ascii")) == codes
