"""Who may import whom: the contracts hold, they cover every package, and they really forbid."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.guards.sources import PACKAGES, ROOT, read

# By the name of its contract: an import that has to break it.
VIOLATIONS = {
    "Layers": ("console/model/locks.py", "import console.cli.output"),
    "Panes do not know each other": ("console/tui/panes/locks.py", "import console.tui.panes.audit"),
    "The two engines do not know each other": (
        "console/engine/mysql/driver.py",
        "import console.engine.postgres.driver",
    ),
    "Only the TUI draws": ("console/cli/output.py", "import textual"),
    "Only the TUI and the CLI use rich": ("console/present/locks.py", "import rich.text"),
    "Only engines, audit tables and the wire they share import drivers": (
        "console/dispatch/policy.py",
        "import asyncpg",
    ),
}
# Who is free to import what a contract forbids to all others. The demo's clients play an application.
FREE = {
    "Only the TUI draws": {"console.tui"},
    "Only the TUI and the CLI use rich": {"console.tui", "console.cli"},
    "Only engines, audit tables and the wire they share import drivers": {
        "console.engine",
        "console.audit",
        "console.wire",
        "console.demo",
    },
}
# The composition root and the version are above and below every layer.
OUTSIDE = {"console.__main__", "console.__init__"}


def _contracts() -> dict[str, dict[str, Any]]:
    listed = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    return {contract["name"]: contract for contract in listed}


def _parts() -> set[str]:
    """The packages and modules that the contracts have to speak of."""
    inside = {
        f"console.{path.stem}"
        for path in (ROOT / "console").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    return (inside | set(PACKAGES)) - OUTSIDE - {"console"}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--config", str(folder / "pyproject.toml")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold() -> None:
    done = _lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_has_its_layer() -> None:
    layers = {one.strip() for row in _contracts()["Layers"]["layers"] for one in row.split("|")}
    assert _parts() - layers == set()


def test_every_package_is_forbidden_what_it_has_no_business_with() -> None:
    forgotten = {
        name: missing
        for name, free in FREE.items()
        if (missing := _parts() - free - set(_contracts()[name]["source_modules"]))
    }
    assert forgotten == {}


def test_every_contract_is_tried() -> None:
    assert set(VIOLATIONS) == set(_contracts())


def test_an_import_that_is_not_allowed_breaks_its_contract(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, line in VIOLATIONS.values():
        with (tmp_path / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    done = _lint(tmp_path)
    assert done.returncode == 1, done.stderr
    kept = {name for name in VIOLATIONS if f"{name} BROKEN" not in done.stdout}
    assert kept == set(), done.stdout
