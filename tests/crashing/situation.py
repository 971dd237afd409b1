"""A scenario: how the real situation of an action is made on a real server, and the truth read there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.servers.fleet import Server

Truth = Literal["applied", "partial", "not_applied"]

FLAVORS = ("postgresql", "mysql", "mariadb")


async def _nothing() -> None:
    """Nothing is held up."""


class Situation(NamedTuple):
    """Something to act on. `truth` asks the server (or the files) itself, by no code of dbdeck's. `release`
    ends what holds the effect up, where something does; a second time it does nothing.
    """

    args: Mapping[str, Any]
    truth: Callable[[], Awaitable[Truth]]
    release: Callable[[], Awaitable[None]] = _nothing

    @property
    def held(self) -> bool:
        return self.release is not _nothing


class Ground(NamedTuple):
    """What the situations of one scenario share. `over` goes over the server's target, `beside` are sections
    of the config beside the targets.
    """

    fresh: Callable[[], AbstractAsyncContextManager[Situation]]
    over: Mapping[str, Any] = {}
    beside: Mapping[str, Any] = {}
    server: Server | None = None  # where it takes one of its own
    vault: str = ""


class Scenario(NamedTuple):
    """`ground` gets a server and an empty folder. `few`: it takes seconds a point, so that every run of it
    takes so many points at most, spread over it. `looks`: it is to change nothing, so that it was done where
    its outcome is recorded, and `truth` tells whether something is left of it.
    """

    action: str
    ground: Callable[[Server, Path], AbstractAsyncContextManager[Ground]]
    flavors: tuple[str, ...] = FLAVORS
    few: int = 0
    looks: bool = False
    variant: str = ""

    @property
    def title(self) -> str:
        return f"{self.action} ({self.variant})" if self.variant else self.action


Made = AsyncIterator[Ground]
Fresh = AsyncIterator[Situation]


def of_many(done: int, total: int) -> Truth:
    if done == total:
        return "applied"
    return "partial" if done else "not_applied"


def yes(applied: object) -> Truth:
    return "applied" if applied else "not_applied"
