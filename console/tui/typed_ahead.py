"""Keys one after the other: what one has brought is there before the next one is given to anybody.

Over a slow line keys arrive in bursts. Textual gives each to what has the focus when it arrives, and a key
that opens a view or an entry is only then on its way up to the app: letters meant for the filter would be
taken for commands, an arrow would move in the view that is left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump

from console.model.instants import steady_now

Typed: TypeAlias = Key | Paste
_ROUNDS: Final = 2  # behind the key itself, and behind the messages that it led to
_DRAWING_SECONDS: Final = 0.02  # belong to what the key has changed, where nothing waits
_LOST_SECONDS: Final = 1.0


class TypedAhead:
    """Behind each key that is given goes a follower by the same queues, from what got the key up to the app:
    when it has arrived, the next key is given. A follower that is lost, as with a part of the screen that
    goes away, keeps nothing for long.
    """

    def __init__(self, app: App[Any], give: Callable[[Event], Awaitable[None]]) -> None:
        """`give` is Textual's own way with an event."""
        self._app = app
        self._give = give
        self._waiting: deque[Typed] = deque()
        self._settled = True
        self._receiver: MessagePump = app
        self._follower: object | None = None
        self._sent_at = steady_now()

    async def take(self, event: Typed) -> None:
        self._waiting.append(event)
        if self._lost:
            while self._waiting:
                await self._give_next()
        if self._settled:
            await self._next()
        elif self._follower is None:
            self._send()

    @property
    def _lost(self) -> bool:
        return self._follower is not None and (steady_now() - self._sent_at).total_seconds() > _LOST_SECONDS

    async def _give_next(self) -> None:
        self._follower, self._settled = None, False
        event = self._waiting.popleft()
        self._receiver = self._app.focused or self._app.screen
        await self._give(event)

    async def _next(self) -> None:
        await self._give_next()
        if self._waiting:
            self._send()
        else:
            asyncio.get_running_loop().call_later(_DRAWING_SECONDS, self._look_behind)

    def _look_behind(self) -> None:
        """Later, so that what the key has changed is drawn first."""
        if not self._settled and self._follower is None:
            self._send()

    def _send(self) -> None:
        self._follower, self._sent_at = object(), steady_now()
        self._follow(self._follower, self._receiver, _ROUNDS)

    def _follow(self, follower: object, here: MessagePump | None, rounds: int) -> None:
        """Behind all that is in the queue here, and then above; what is no part any more leads to the app."""
        if here is None or here is self._app or not here.call_later(self._up, follower, here, rounds):
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
