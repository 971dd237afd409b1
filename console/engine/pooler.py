"""PgBouncer: whether somebody gets in through it, and its RELOAD. The driver is imported when it is used."""

from __future__ import annotations

import asyncio
import contextlib

from console.model.hooks import Pooler, PoolerAdmin
from console.model.probe import Probe
from console.secrets import Secret

KNOCK_SECONDS = 2.0


async def login(way: Pooler, user: str, password: Secret) -> Probe:
    """One login and one statement, so that a connection to the server was had. Never raises for an answer."""
    from console.engine.postgres import pooler

    return await pooler.login(way, user, password)


async def reload_pooler(admin: PoolerAdmin) -> None:
    """Read its config and its userlist anew; only `console.dispatch` may name this. A second time is as good.

    Raises the Unreachable errors of a connection (nothing was told), ActionFailed (it refused), and
    OutcomeUnknown (told, and the answer was lost).
    """
    from console.engine.postgres import pooler

    await pooler.reload_pooler(admin)


async def knock(way: Pooler) -> str:
    """Why nobody answers there; empty where somebody does. No login is tried."""
    try:
        async with asyncio.timeout(KNOCK_SECONDS):
            if way.host.startswith("/"):
                _, writer = await asyncio.open_unix_connection(way.address)
            else:
                _, writer = await asyncio.open_connection(way.host, way.port)
    except TimeoutError:
        return "no answer in time"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ""
