"""What is imported once the first rows are there: no module of ours is read from the disk after that.

A console runs for days. One that imported a view or an action at its first key would mix the version that
runs with the one that an upgrade has put there meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from importlib import import_module
from pkgutil import walk_packages

import console.dispatch
import console.engine
import console.present
import console.tui


def load_rest(engines: Collection[str]) -> None:
    """Views, dialogs, what acts, and the reads of these engines, with all that they need. Blocks; runs on any
    thread.
    """
    apart = tuple(f"console.engine.{name}" for name in ("postgres", "mysql") if name not in engines)
    for package in (console.tui, console.present, console.dispatch, console.engine):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(apart or "-"):
                with contextlib.suppress(ImportError):  # told when it is used
                    import_module(found.name)
