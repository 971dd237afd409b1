"""A shop with sessions on every server, and a command that knows it as the target t."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import command as command_of_tests
from tests.command import Command
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, scene


@pytest.fixture(autouse=True)
def short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every runbook looks for itself at what comes of its effects."""
    monkeypatch.setitem(command_of_tests.MORE, "thresholds", {"watch": 1.0})


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    mysql = isinstance(any_server, MysqlServer)  # whose documented operator enters no database
    given = {} if mysql else {"database": shop.database}
    return Command(tmp_path, {"t": any_server.target_dict(**given)})
