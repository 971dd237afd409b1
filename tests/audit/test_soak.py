"""Writers are killed, the ledger's server is restarted under them: a short turn of `tests.audit.soaking`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.soaking import made, soak
from tests.conftest import _server
from tests.servers.fleet import Fleet


@pytest.mark.parametrize("name", ["sqlite", "pg18", "mysql", "mariadb"])
async def test_who_is_killed_and_what_is_restarted_leaves_the_record_true(
    request: pytest.FixtureRequest, name: str, fleet: Fleet, disk: Path
) -> None:
    if name != "sqlite":
        _server(request, fleet, name)
    sink, restart = await made(name, fleet, disk)
    found = await soak(sink, disk, seconds=16, writers=4, seed=8, restart=restart)
    assert found.true, found
    assert found.looks
    assert found.kills
    assert 0 < found.effects <= found.intents
    assert found.restarts == (0 if name == "sqlite" else 1)
