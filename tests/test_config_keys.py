"""The keymap of a config: what is wrong with it is told with its line."""

from __future__ import annotations

import pytest

from console.config import parse
from console.errors import ConfigError
from console.model.keymap import faults


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (
            "  locks.terminat: x\n",
            "line 2, column 3: keys.locks.terminat: there is no binding",
            "locks.terminate?",
        ),
        (
            "  view.pause: z\n  view.export: z\n",
            "keys.view.export: z is the key of view.pause, too",
            "another",
        ),
        (
            "  locks.terminate: p\n",
            "line 2, column 3: keys.locks.terminate: p is the key of view.pause",
            "view.pause",
        ),
        ("  app.help: f9,/\n", "slash is the key of view.filter", "view.filter"),
        ("  app.help: ctrl+p\n", "ctrl+p is the key of the command palette", ""),
        ("  app.help: 'f9,'\n", "a key is missing", "commas"),
    ],
)
def test_a_fault_names_its_line(text: str, said: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("keys:\n" + text)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_two_keys_may_change_places_and_two_panes_may_use_one_key() -> None:
    assert list(faults({"view.pause": "r", "view.refresh": "p"})) == []
    assert list(faults({"locks.terminate": "X", "transactions.terminate": "X"})) == []
    assert list(faults({"backups.overdue": "o"})) == [], "it is over app.targets by default"
