"""A file system that hangs takes one thread of its own, and none of those that others need."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.engine.mysql import disk as mysql
from console.engine.own_thread import on_own_thread
from console.engine.postgres import disk as postgres
from console.model.table_locks import Disk


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Let go at the end, so that no thread stays."""
    made = threading.Event()
    yield made
    made.set()


async def test_what_a_call_returns_or_raises_is_handed_on() -> None:
    assert await on_own_thread("a", lambda: 7, seconds=2) == 7
    with pytest.raises(FileNotFoundError):
        await on_own_thread("a", lambda: Path("/nowhere/at/all").stat(), seconds=2)


async def test_a_second_call_waits_for_the_first_and_then_has_its_own_answer() -> None:
    def first() -> str:
        time.sleep(0.2)
        return "first"

    slow = asyncio.create_task(on_own_thread("b", first, seconds=2))
    await asyncio.sleep(0.05)
    assert await on_own_thread("b", lambda: "second", seconds=2) == "second"
    assert await slow == "first"


async def test_while_one_hangs_no_other_begins_and_the_executor_is_free(hanging: threading.Event) -> None:
    began: list[int] = []

    def hang() -> None:
        began.append(1)
        hanging.wait()

    for _ in range(50):
        with pytest.raises(TimeoutError):
            await on_own_thread("c", hang, seconds=0.01)
    assert began == [1]
    assert [one.name for one in threading.enumerate()].count("files of c") == 1
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "journal"), 1) == "journal"
    assert await on_own_thread("d", lambda: "another target", seconds=1) == "another target"
    hanging.set()
    assert await on_own_thread("c", lambda: "again", seconds=2) == "again"


async def test_an_answer_that_comes_late_disturbs_nobody(hanging: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        await on_own_thread("e", hanging.wait, seconds=0.01)
    hanging.set()
    await asyncio.sleep(0.1)


def _link(name: str, row: dict[str, Any]) -> Any:
    async def fetch(*_: object) -> list[dict[str, Any]]:
        return [row]

    async def connected() -> tuple[None, Any]:
        return None, SimpleNamespace(flavor="mysql", user="m@h")

    target = SimpleNamespace(name=name, local=True, host="/run", port=1)
    return SimpleNamespace(target=target, fetch=fetch, connected=connected)


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
async def test_the_disk_of_a_file_system_that_hangs_is_unknown(
    engine: str, hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = postgres if engine == "postgres" else mysql
    monkeypatch.setattr(module, "STAT_SECONDS", 0.05)
    monkeypatch.setattr(os, "statvfs", lambda _: hanging.wait())
    if engine == "postgres":
        monkeypatch.setattr(postgres, "look", lambda *_: hanging.wait())
        found = await postgres.read(_link("f", {"tablespace": "", "data": "/data"}), "s", "t")
    else:
        row = {"folder": "/data", "file": None, "host": socket.gethostname()}
        found = await mysql.disk(_link("g", row), "s", "t")
    assert found == Disk(place="/data", why="its file system does not answer")
