"""What the first frame does not need is imported where it is used: at the start people wait for it."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import sys
import console.tui.app, console.engine.{engine}.engine
print(*(name for name in sys.modules if name.startswith(("console", "actions", "runbooks"))))
"""
_LATER = (
    "console.runbook", "console.audit", "console.backups", "console.overview", "console.dispatch.dispatcher",
    "console.dispatch.effect", "console.dispatch.planning", "console.present.plan", "actions", "runbooks",
)  # fmt: skip
_PANES = {"console.tui.panes." + name for name in ("acting", "deadlocks", "locks", "pane")}


def loaded(engine: str) -> set[str]:
    found = subprocess.run(
        [sys.executable, "-c", _LOADED.format(engine=engine)], capture_output=True, text=True, check=True
    )
    return set(found.stdout.split())


def test_a_console_begins_without_what_acts() -> None:
    found = loaded("postgres")
    early = {name for name in found if name.startswith(_LATER)}
    assert not early
    assert {name for name in found if name.startswith("console.tui.panes.")} == _PANES


def test_an_engine_begins_without_its_other_reads() -> None:
    for engine, least in (("postgres", "waits"), ("mysql", "graph")):
        found = {name for name in loaded(engine) if name.startswith(f"console.engine.{engine}.")}
        assert f"console.engine.{engine}.{least}" in found
        other = ("accounts", "indexes", "inventory", "pulse", "snapshot", "tables")
        assert not found & {f"console.engine.{engine}.{name}" for name in other}
