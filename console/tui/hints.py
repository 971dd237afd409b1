"""Keys as sentences name them: those of the config where it gives others, so that none names a dead key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.message_pump import MessagePump
from textual.screen import Screen

from console.model.keymap import spoken

if TYPE_CHECKING:
    from console.tui.widgets.bars import Key

_NAME = re.compile(r"\{([a-z][a-z0-9-]*\.[a-z0-9-]+)\}")


def hint(node: MessagePump, text: str) -> str:
    """The text with each {id of a binding} as its first key. Raises KeyError for an id that is none."""
    given = getattr(node.app, "given_keys", {})
    return _NAME.sub(lambda found: spoken(given, found[1]), text)


def mapped(screen: Screen[Any], keys: Sequence[Key]) -> list[Key]:
    """A line of keys by what the config gave them."""
    if not getattr(screen.app, "given_keys", {}):
        return list(keys)
    here: dict[str, str] = {}
    for active in sorted(screen.active_bindings.values(), key=lambda one: not one.binding.show):
        here.setdefault(active.binding.action, screen.app.get_key_display(active.binding))
    named = ((key, key.action.removeprefix("app.")) for key in keys)
    return [key._replace(key=here.get(name, key.key)) for key, name in named]
