"""How busy the server is, as maintenance has to respect it."""

from __future__ import annotations

import pytest

from console.errors import PrivilegeMissing
from tests.integration.postgres.conftest import Desk


async def test_running_statements_are_counted_without_ours_and_without_idle_ones(desk: Desk) -> None:
    await desk.session("idle")
    before = (await desk.engine.load()).running
    await desk.behind("select pg_sleep(20)", "busy")
    await desk.behind("select pg_sleep(20)", "dbdeck names")
    after = await desk.engine.load()
    assert after.running == before + 1
    assert (after.lag_seconds, after.lag_bytes, after.replica) == (None, None, "")


async def test_hidden_sessions_are_not_counted_as_none(desk: Desk) -> None:
    await desk.role("dim")
    engine = await desk.looking("dim")
    with pytest.raises(PrivilegeMissing) as caught:
        await engine.load()
    assert "GRANT pg_monitor TO dim;" in caught.value.hint
