"""`dbdeck -t NAME`: the console opens on that target, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.errors import Exit
from tests.cli.terminal import at_terminal
from tests.command import Command

# Nobody listens there: the console opens all the same, and says where it is.
AWAY = {
    "engine": "postgres", "host": "127.0.0.1", "port": 1, "environment": "dev", "tls": "off",
    "monitor": {"user": "m"},
}  # fmt: skip


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, {"orders": {**AWAY}, "billing": {**AWAY, "monitor": {"user": "m"}}})


@pytest.mark.parametrize(("words", "opened"), [((), "billing"), (("-t", "orders"), "orders")])
def test_it_opens_on_the_target_that_is_named_or_on_the_first(
    command: Command, words: tuple[str, ...], opened: str
) -> None:
    with at_terminal(command, *words) as terminal:
        terminal.expect(f" {opened} ")
        terminal.expect("Locks")
        terminal.type("q")
        code, _ = terminal.end()
    assert code == Exit.OK


def test_an_unknown_name_is_told_with_the_nearest_and_nothing_opens(command: Command) -> None:
    with at_terminal(command, "--target", "biling") as terminal:
        code, shown = terminal.end()
    assert code == Exit.USAGE
    assert "the config has no target 'biling'" in shown
    assert "did you mean billing?" in shown
    assert "Locks" not in shown


def test_before_a_command_it_is_refused_and_not_overheard(command: Command) -> None:
    """`dbdeck -t billing show locks` must not look at another target without a word."""
    with at_terminal(command, "-t", "billing", "show", "locks") as terminal:
        code, shown = terminal.end()
    assert code == Exit.USAGE
    assert "`dbdeck show … -t billing`" in shown
