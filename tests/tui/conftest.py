"""The stage that every test of the console plays on."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.model.target import Environment
from tests.tui.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch, Environment.DEV)
