"""On a terminal of 16 colours, and on one without any, nothing that matters is lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.color_triplet import ColorTriplet
from textual.drivers.headless_driver import HeadlessDriver

import actions
from console.config import Ui
from console.dispatch.registry import Registry
from console.model.target import Environment
from console.present.table import Tone
from console.tui.app import ConsoleApp
from console.tui.themes import OWN
from console.tui.widgets.bars import TabLine
from tests.tui.stage import NARROW, Stage, shown, until


@pytest.mark.parametrize("environment", [{"TEXTUAL_COLOR_SYSTEM": "standard"}, {"NO_COLOR": "1"}])
async def test_the_cursor_and_the_root_can_be_told_without_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    async with shown(stage, NARROW):
        grid = stage.pane.grid
        lines = [grid.render_line(y).text for y in range(1, 4)]
        assert lines[0].startswith("►")
        assert "ROOT" in lines[0]
        assert not lines[1].startswith("►")
        assert stage.bar.strip().startswith("PROD")
        assert "terminate" in stage.keys


async def test_a_badge_is_no_grey_on_grey_without_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen in a terminal of 16 colours: the grey of red was the grey of the line."""
    monkeypatch.setenv("NO_COLOR", "1")
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    async with shown(stage, NARROW):
        line = stage.main.query_one(TabLine)
        line.badge("locks", "(30)")
        drawn = line.render_line(0)
        (badge,) = (one for one in drawn if "(30)" in one.text)
        assert badge.style is not None
        assert badge.style.bold
        others = [one for one in drawn if "2 Trans" in one.text]
        assert [one.style and one.style.color for one in others] == [badge.style.color]


@pytest.mark.parametrize("theme", [theme.name for theme in OWN])
async def test_every_tone_of_our_themes_can_be_read_on_every_ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    """WCAG 2.1, 1.4.3: 4.5 to 1 for text; muted text says nothing alone and may have 3 to 1."""
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    stage.config = msgspec.structs.replace(stage.config, theme=theme)
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    async with shown(stage, NARROW):
        grid = stage.pane.grid
        for tone in Tone:
            style = grid.get_component_rich_style(f"sheet--{tone}")
            assert style.color is not None
            assert style.bgcolor is not None
            ratio = contrast(style.color.get_truecolor(), style.bgcolor.get_truecolor())
            assert ratio >= (3.0 if tone is Tone.MUTED else 4.5), (tone, ratio)
        cursor = grid.get_component_rich_style("sheet--cursor")
        assert cursor.color is not None
        assert cursor.bgcolor is not None
        assert contrast(cursor.color.get_truecolor(), cursor.bgcolor.get_truecolor()) >= 4.5


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """WCAG 2.1, relative luminance."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: ColorTriplet) -> float:
    parts = [part / 255 for part in colour]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def test_every_size_from_small_to_huge_draws_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    async with shown(stage, NARROW) as pilot:
        for name in ("overview", "locks", "tables"):
            await stage.main.action_pane(name)
            pane = stage.main.pane
            await until(pilot, lambda pane=pane: pane.reading.data is not None)  # type: ignore[misc]
            for size in ((80, 24), (300, 80), (81, 25), (120, 30), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
                assert pane.grid.size.height > 3
                lines = [pane.grid.render_line(y) for y in range(pane.grid.size.height)]
                assert {line.cell_length for line in lines} == {pane.grid._width}
                assert len(stage.keys) <= size[0]


@pytest.mark.parametrize("asked", ["locale", "variable", "config"])
async def test_a_terminal_without_utf8_gets_only_what_it_has(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its locale, or because somebody asked for it."""
    monkeypatch.setenv("LC_ALL", "C" if asked == "locale" else "C.UTF-8")
    monkeypatch.setenv("DBDECK_ASCII", "1" if asked == "variable" else "0")
    stage = Stage(tmp_path, monkeypatch, Environment.PROD)
    if asked == "config":
        stage.config = msgspec.structs.replace(stage.config, ui=Ui(ascii=True))
        stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    written: list[str] = []
    monkeypatch.setattr(ConsoleApp, "is_headless", property(lambda _: False))
    monkeypatch.setattr(HeadlessDriver, "write", lambda _, data: written.append(data))
    async with shown(stage, NARROW) as pilot:
        await until(pilot, lambda: "ROOT" in "".join(written))
        await pilot.press("0")
        await until(pilot, lambda: "warning" in "".join(written))
    assert "".join(written).isascii()
    assert "^ warning" in "".join(written)
