"""What a short command loads: neither the TUI nor a driver, nor anything else that is slow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.guards.sources import ROOT

HEAVY = (
    "textual",
    "rich",
    "asyncpg",
    "aiomysql",
    "pymysql",
    "keyring",
    "yaml",
    "cryptography",
    "asyncio",
    "importlib.metadata",
)
# Measured: 205 with Python 3.11. Half as many again is a sign that something crept in.
AT_MOST = 320
_REPORT = """
import atexit, json, sys
def report():
    print("loaded " + json.dumps(sorted(sys.modules)), file=sys.stderr)
atexit.register(report)
"""
_COMMAND = """
from console.__main__ import main
sys.argv = ["dbdeck", *{arguments!r}]
sys.exit(main())
"""


def _loaded(program: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT + program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.rpartition("loaded ")[2]))


def _heavy(loaded: set[str]) -> set[str]:
    return {name for name in loaded if name in HEAVY or name.partition(".")[0] in HEAVY}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["apply", "--help"], ["audit", "--help"], ["completion", "bash"]],
    ids=" ".join,
)
def test_a_short_command_loads_nothing_slow(
    arguments: list[str], record_property: Callable[[str, object], None]
) -> None:
    loaded = _loaded(_COMMAND.format(arguments=arguments))
    record_property("modules", len(loaded))
    assert _heavy(loaded) == set()
    assert len(loaded) <= AT_MOST


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_shortest_commands_load_little(argument: str) -> None:
    assert not _loaded(_COMMAND.format(arguments=[argument])) & {"shutil", "console.present"}


@pytest.mark.parametrize(
    "line", ["dbdeck show ", "dbdeck plan ", "dbdeck runbook run ", "dbdeck show locks -t "]
)
def test_a_tab_loads_nothing_slow(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DBDECK_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    loaded = _loaded(_COMMAND.format(arguments=[]))
    assert "console.cli.complete" in loaded
    assert not loaded & {"textual", "rich", "asyncpg", "aiomysql", "pymysql", "keyring"}


@pytest.mark.parametrize(
    "module", ["console.cli.main", "console.__main__", "console.errors", "console.model.locks"]
)
def test_a_module_loads_nothing_slow(module: str) -> None:
    assert _heavy(_loaded(f"import {module}")) == set()


def test_the_actions_load_no_driver() -> None:
    loaded = {name.partition(".")[0] for name in _loaded("import actions")}
    assert loaded.isdisjoint({"textual", "rich", "asyncpg", "aiomysql", "pymysql"})


def test_this_guard_sees_what_is_loaded() -> None:
    assert "textual" in _heavy(_loaded("import console.tui.app"))
