"""The completion scripts of shells, as `dbdeck completion SHELL` prints them: they ask dbdeck."""

from __future__ import annotations

from click.shell_completion import get_completion_class

from console.cli.main import cli


def script(shell: str) -> str:
    """Raises LookupError for a shell that click does not know."""
    found = get_completion_class(shell)
    if found is None:
        raise LookupError(shell)
    return found(cli, {}, "dbdeck", "_DBDECK_COMPLETE").source()
