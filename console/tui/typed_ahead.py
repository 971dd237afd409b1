"""Keys one after the other: what one has brought is there before the next one is given to anybody.

Over a slow line keys arrive in bursts. Textual gives each to what has the focus when it arrives, and a key
that opens a view or an entry is only then on its way up to the app: letters meant for the filter would be
taken for commands, an arrow would move in the view that is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeAlias

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump

from console.model.instants import steady_now

Typed: TypeAlias = Key | Paste
_ROUNDS: Final = 3
_LOST_SECONDS: Final = 1.0


class TypedAhead:
    """While a key, or a message that it led to, is on its way through the app, the next one waits. A follower
    goes behind it by the same queues, from what it was given to up to the app; what it led to may take
    another round. A follower that is lost, as with a part of the screen that goes away, keeps nothing for long.
    """

    def __init__(self, app: App[Any], give: Callable[[Event], Awaitable[None]]) -> None:
        """`give` is Textual's own way with an event."""
        self._app = app
        self._give = give
        self._waiting: deque[Typed] = deque()
        self._receiver: MessagePump = app
        self._follower: object = None
        self._sent_at = steady_now()

    async def take(self, event: Typed) -> None:
        self._waiting.append(event)
        lost = (steady_now() - self._sent_at).total_seconds() > _LOST_SECONDS
        if self._follower is not None and not lost:
            return
        if self._settled() or lost:
            await self._next()
        else:
            self._send()

    async def _next(self) -> None:
        """Give what waits, and send a follower behind it while something waits still."""
        self._follower = None
        event = self._waiting.popleft()
        self._receiver = self._app.focused or self._app.screen
        await self._give(event)
        if self._waiting:
            self._send()

    def _send(self) -> None:
        self._follower, self._sent_at = object(), steady_now()
        self._follow(self._follower, self._receiver, _ROUNDS)

    async def _arrive(self, follower: object, rounds: int) -> None:
        if follower is not self._follower:
            return
        if rounds and not self._settled():
            self._follow(follower, self._app.focused or self._app.screen, rounds)
        else:
            await self._next()

    def _follow(self, follower: object, here: MessagePump | None, rounds: int) -> None:
        """Behind all that is in the queue here, and then above; what is no part any more leads to the app."""
        if here is None or here is self._app or not here.call_later(self._up, follower, here, rounds):
            self._app.call_later(self._arrive, follower, rounds - 1)

    def _up(self, follower: object, here: MessagePump, rounds: int) -> None:
        self._follow(follower, here._parent, rounds)  # noqa: SLF001 - as messages go up

    def _settled(self) -> bool:
        """Nothing is under way between the last receiver, or what has the focus now, and the app, but the
        app's message that asks.
        """
        here = self._app.focused or self._app.screen
        parts = {*_up_from(self._receiver), *_up_from(here)} - {self._app}
        return not any(map(_under_way, parts)) and _under_way(self._app) <= 1


def _up_from(part: MessagePump | None) -> Iterator[MessagePump]:
    while part is not None:
        yield part
        part = part._parent  # noqa: SLF001 - as messages go up


def _under_way(part: MessagePump) -> int:
    """Messages that are in its queue or being looked at. A queue that does not tell counts as busy."""
    return int(getattr(part._message_queue, "_unfinished_tasks", 2))  # noqa: SLF001 - it has no other door
