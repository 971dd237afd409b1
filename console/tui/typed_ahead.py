"""Input one after the other: what one key has brought is there before the next one is given to anybody.

Over a slow line keys arrive in bursts. Textual gives each to what has the focus when it arrives, and a key
that opens a view or an entry is only then on its way up to the app: letters meant for the filter would be
taken for commands, an arrow would move in the view that is left.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeGuard

from textual.app import App
from textual.errors import NoWidget
from textual.events import Event, InputEvent, Key, MouseEvent, MouseMove, Paste
from textual.message_pump import MessagePump
from textual.widgets import Input

Typed: TypeAlias = InputEvent | Paste
_ROUNDS: Final = 2  # behind the key itself, and behind the messages that it led to
_DRAWING_SECONDS: Final = 0.02  # belong to what the key has changed, where nothing waits


def is_typed(event: Event) -> TypeGuard[Typed]:
    """Somebody's, that nobody has got yet. Where the mouse only moves nothing is lost."""
    wanted = isinstance(event, InputEvent | Paste) and not isinstance(event, MouseMove)
    return wanted and not event.is_forwarded


def given_at(app: App[Any]) -> float:
    """When the key that is acted on was typed, by the monotonic clock (seconds): it may have waited."""
    typed = getattr(app, "typed", None)
    return typed.given if isinstance(typed, TypedAhead) else time.monotonic()


class TypedAhead:
    """Behind each key that is given goes a follower by the same queues, from what got the key up to the app:
    when it has arrived, the next key is given. Letters for one entry follow each other by themselves.

    `given` is when what was given last was read, by the clock of Textual's events.
    """

    def __init__(self, app: App[Any], give: Callable[[Event], Awaitable[None]]) -> None:
        """`give` is Textual's own way with an event."""
        self.given = 0.0
        self._app = app
        self._give = give
        self._waiting: deque[Typed] = deque()
        self._settled = True
        self._entry: Input | None = None
        self._receiver: MessagePump = app
        self._follower: object | None = None
        self._here: MessagePump = app

    async def take(self, event: Typed) -> None:
        """What the app does whatever else goes on is done at once."""
        if isinstance(event, Key) and self._is_urgent(event):
            self.given = event.time
            await self._give(event)
            return
        self._waiting.append(event)
        if self._follower is not None and self._here.is_running:
            return
        if self._settled or self._goes_on(event) or self._follower is not None:
            await self._next()
        else:
            self._send()

    def _is_urgent(self, event: Key) -> bool:
        node, bindings = self._app.screen._binding_chain[-1]  # noqa: SLF001 - with the keys that were changed
        found = bindings.key_to_bindings.get(event.key, ()) if node is self._app else ()
        return any(binding.priority for binding in found)

    def _goes_on(self, event: Typed) -> bool:
        """A letter behind letters, for an entry whose queue keeps their order."""
        entry = self._app.focused
        letter = isinstance(event, Key) and event.is_printable
        return letter and isinstance(entry, Input) and entry is self._entry

    async def _next(self) -> None:
        self._follower, self._settled = None, False
        await self._give_one()
        while self._waiting and self._goes_on(self._waiting[0]):
            await self._give_one()
        if self._waiting:
            self._send()
        else:
            asyncio.get_running_loop().call_later(_DRAWING_SECONDS, self._look_behind)

    async def _give_one(self) -> None:
        event = self._waiting.popleft()
        self.given = event.time
        focused = self._app.focused
        letter = isinstance(event, Key) and event.is_printable
        self._entry = focused if letter and isinstance(focused, Input) else None
        self._receiver = self._receiver_of(event)
        await self._give(event)

    def _receiver_of(self, event: Typed) -> MessagePump:
        if isinstance(event, MouseEvent):
            try:
                return self._app.get_widget_at(event.x, event.y)[0]
            except NoWidget:
                return self._app.screen
        return self._app.focused or self._app.screen

    def _look_behind(self) -> None:
        """Later, so that what the key has changed is drawn first."""
        if not self._settled and self._follower is None:
            self._send()

    def _send(self) -> None:
        self._follower = object()
        self._follow(self._follower, self._receiver, _ROUNDS)

    def _follow(self, follower: object, here: MessagePump | None, rounds: int) -> None:
        """Behind all that is in the queue here, and then above; what is no part any more leads to the app."""
        self._here = here or self._app
        if here is None or here is self._app or not here.call_later(self._up, follower, here, rounds):
            self._here = self._app
            self._app.call_later(self._arrive, follower, rounds - 1)

    def _up(self, follower: object, here: MessagePump, rounds: int) -> None:
        self._follow(follower, here._parent, rounds)  # noqa: SLF001 - as messages go up

    async def _arrive(self, follower: object, rounds: int) -> None:
        if follower is not self._follower:
            return
        if rounds:
            self._follow(follower, self._app.focused or self._app.screen, rounds)
            return
        self._follower, self._settled = None, True
        if self._waiting:
            await self._next()
