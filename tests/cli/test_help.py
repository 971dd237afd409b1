"""Help is as wide as click would make it."""

from __future__ import annotations

import pytest
from click.formatting import HelpFormatter

from console.cli.main import _width


@pytest.mark.parametrize("columns", [None, "", "0", "-5", "7", "60", "100", "101", "300", "junk", "8e1"])
def test_help_is_as_wide_as_clicks(columns: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert _width() == HelpFormatter(max_width=100).width
