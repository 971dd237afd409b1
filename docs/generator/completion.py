"""The completion scripts of shells, as `dbdeck completion SHELL` prints them: they ask dbdeck."""

from __future__ import annotations

from console.cli import complete
from console.cli.main import cli


def script(shell: str) -> str:
    """Raises LookupError for a shell that click does not know."""
    text = complete.script(shell, cli)
    if text is None:
        raise LookupError(shell)
    return text
