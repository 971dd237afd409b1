"""What Overview says of a target that nobody looked at for long: nothing, until it answers or is late."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from console import overview as overviews
from console.config import parse
from console.errors import UsageError
from console.model.overview import Outlook, Pulse, Standing
from console.model.replication import Slot
from console.model.table_locks import Disk
from console.model.target import Target
from console.poll import BUDGET

TARGET = parse("targets: {t: {engine: postgres, monitor: {user: m}}}").target("t")


class Server:
    """Answers at once, or when it is let."""

    def __init__(self) -> None:
        self.waiting = 7
        self.answers = asyncio.Event()
        self.answers.set()

    async def pulse(self) -> Pulse:
        await self.answers.wait()
        return Pulse(at=1.0, started=0.5, waiting=self.waiting, connections=3, most=10)

    async def numbers(self) -> Outlook:
        return Outlook()

    async def slots(self) -> tuple[Slot, ...]:
        return ()

    async def disk(self, *_: str) -> Disk:
        return Disk()


def overview(server: Server, target: Target, every: float, budget: float = BUDGET) -> overviews.Overview:
    async def opened(_: Target) -> Any:
        return server

    async def drills(_: Target) -> Any:
        raise UsageError("no drills here")

    return overviews.Overview([target], opened, drills, lambda one: one, every=every, budget=budget)


async def test_an_old_pulse_is_not_shown_as_if_it_were_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overviews, "_OLD_SECONDS", 0.3)
    monkeypatch.setattr(overviews, "_SLACK_SECONDS", 0.1)
    server = Server()
    view = overview(server, TARGET, every=0.1)
    try:
        (first,) = await view.look()
        assert first.pulse is not None
        await asyncio.sleep(0.5)
        server.answers.clear()
        (back,) = await view.look(0.01)
        assert (back.pulse, back.taken_at, back.silent) == (None, None, 0.0)
        await asyncio.sleep(0.3)
        (late,) = view.now()
        assert late.silent > 0
        assert late.pulse is not None, "what was known last is told, with how long it is silent"
        server.waiting = 1
        server.answers.set()
        (now,) = await view.look()
        assert now.pulse is not None
        assert now.pulse.waiting == 1
        assert _age(now) < 1
    finally:
        await view.aclose()


def _age(one: Standing) -> float:
    assert one.taken_at is not None
    return (datetime.now(UTC) - one.taken_at).total_seconds()


async def test_between_two_refreshes_what_was_seen_stays() -> None:
    view = overview(Server(), TARGET, every=2.0)
    try:
        await view.look()
        await asyncio.sleep(0.2)
        (again,) = await view.look(0.0)
        assert again.pulse is not None
    finally:
        await view.aclose()


async def test_of_two_looks_the_second_is_not_put_off_by_a_slow_first() -> None:
    """`show overview` had no rates of a server whose first answer took over a tenth of a second."""

    class Slow(Server):
        asked = 0

        async def pulse(self) -> Pulse:
            self.asked += 1
            await asyncio.sleep(0.2)
            return Pulse(at=float(self.asked), started=0.5, wal=100 * self.asked)

    server = Slow()
    view = overview(server, TARGET, every=0.0, budget=1.0)
    try:
        await view.look()
        (second,) = await view.look()
        assert second.rates.wal == 100.0
    finally:
        await view.aclose()
