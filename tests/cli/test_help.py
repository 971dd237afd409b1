"""What `--help` prints on a terminal of 80 columns, and how wide it is elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.formatting import HelpFormatter

from console.cli.main import SUBJECTS, _width, cli


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from commands(one, (*path, name))
        else:
            yield " ".join((*path, name)), one


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_usage_is_broken_within_a_word(name: str) -> None:
    """`dbdeck show` had all its subjects there, broken in the midst of three of them."""
    command = COMMANDS[name]
    context = click.Context(command, info_name=f"dbdeck {name}", terminal_width=80)
    usage = command.get_usage(context)
    whole = command.collect_usage_pieces(context)
    assert all(piece in usage for piece in whole), usage


def test_every_subject_of_show_is_in_its_help() -> None:
    said = re.findall(
        r"[a-z]+", COMMANDS["show"].get_help(click.Context(COMMANDS["show"], terminal_width=80))
    )
    assert set(SUBJECTS) <= set(said)


@pytest.mark.parametrize("columns", [None, "", "0", "-5", "7", "60", "100", "101", "300", "junk", "8e1"])
def test_help_is_as_wide_as_clicks(columns: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert _width() == HelpFormatter(max_width=100).width
