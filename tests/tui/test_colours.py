"""On a terminal of 16 colours, and on one without any, nothing that matters is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.model.target import Environment
from tests.tui.stage import NARROW, Stage, shown


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
