"""What is imported once the first rows are there: nothing of ours is read from the disk after that.

A console runs for days. One that imported a view or an action at its first key would mix the version that
runs with the one that an upgrade has put there meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from importlib import import_module
from pkgutil import walk_packages

import console

# The commands, the demo and its server are other programs.
_NEVER = ("console.__main__", "console.cli", "console.demo")


def load_rest(engines: Collection[str]) -> None:
    """All modules but those of engines that no target has. Blocks; runs on any thread."""
    known = ("console.engine.postgres", "console.engine.mysql")
    apart = (*_NEVER, *(name for name in known if name.rpartition(".")[2] not in engines))
    for found in walk_packages(console.__path__, "console."):
        if not found.name.startswith(apart):
            with contextlib.suppress(ImportError):  # told when it is used
                import_module(found.name)
