"""Leaving a console that has many targets open takes no longer than leaving one."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

import actions
from console.config import Audit, Config
from console.dispatch.registry import Registry
from console.tui.desk import Desk
from tests.servers.fleet import Server
from tests.servers.proxy import Proxy, tcp_proxy
from tests.targets import target_of

TARGETS = 12


async def test_servers_that_hang_are_left_at_once(any_server: Server, tmp_path: Path) -> None:
    """A network is away with everything behind it: each goodbye waits a fraction of a second in vain."""
    audit = Audit(url=f"sqlite:///{tmp_path}/audit.db", journal=str(tmp_path / "journal"))
    desk = Desk(Config(audit=audit, targets={}), Registry(actions.ALL))
    target = target_of(any_server)
    async with AsyncExitStack() as network:
        proxies: list[Proxy] = []
        for number in range(TARGETS):
            proxy = await network.enter_async_context(tcp_proxy("127.0.0.1", any_server.port))
            proxies.append(proxy)
            here = msgspec.structs.replace(target, name=f"t{number}", host="127.0.0.1", port=proxy.port)
            await (await desk.engine(here)).locks()
        for proxy in proxies:
            proxy.stall()
        start = time.monotonic()
        await desk.close()
        assert time.monotonic() - start < TARGETS * 0.2, "one after the other"
