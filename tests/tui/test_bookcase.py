"""Which runbooks of the console are linted when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

import actions
from console.__main__ import _runbooks
from console.dispatch.registry import Registry
from console.tui.bookcase import Bookcase

OWN = """apiVersion: runbook/v1
id: {id}
title: {id}
owner: dba
reviewed: 2026-11-20
engines: {{postgresql: ">=13"}}
risk: high
steps: [{{id: a, kind: action, action: no.such_action}}]
"""


async def wrong(folder: Path) -> dict[str, str]:
    return dict((await Bookcase([folder], _runbooks, Registry(actions.ALL)).books()).wrong)


async def test_what_is_shipped_is_sound(tmp_path: Path) -> None:
    assert await wrong(tmp_path) == {}


async def test_a_file_with_the_name_of_a_shipped_one_is_linted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "disk-filling.yaml").write_text(OWN.format(id="mine"))
    monkeypatch.chdir(tmp_path)
    assert set(await wrong(Path("runbooks"))) == {"mine"}


async def test_a_shipped_one_that_calls_a_wrong_one_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(OWN.format(id="runaway-query"))
    found = await wrong(tmp_path)
    assert {"runaway-query", "pool-saturation"} <= set(found)
