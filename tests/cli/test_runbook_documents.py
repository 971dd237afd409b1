"""What only looks at runbooks needs no config, as a newcomer has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from console.errors import Exit
from tests.guards.sources import ROOT


def asked(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "DBDECK_CONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "console", "runbook", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean | {"XDG_CONFIG_HOME": str(folder)} | env,
        timeout=60,
        check=False,
    )


def test_a_document_of_ones_own_is_checked_without_a_config(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    assert asked(tmp_path, "new", "mine", "-o", str(mine)).returncode == Exit.OK
    done = asked(tmp_path, "lint", str(mine))
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert "1 runbook, " in done.stdout
    assert "no fault" in done.stdout
    assert "lock-storm" in asked(tmp_path, "list").stdout


def test_a_config_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    for found in (
        asked(tmp_path, "list", "--config", str(tmp_path / "absent.yaml")),
        asked(tmp_path, "list", DBDECK_CONFIG=str(tmp_path / "absent.yaml")),
    ):
        assert found.returncode == Exit.USAGE
        assert "there is no config file" in found.stderr


def test_what_needs_a_target_still_says_that_there_is_none(tmp_path: Path) -> None:
    done = asked(tmp_path, "plan", "lock-storm")
    assert done.returncode == Exit.USAGE
    assert "there is no config file" in done.stderr
