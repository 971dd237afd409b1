"""PgBouncer by PostgreSQL's protocol: its admin console speaks the simple one only, and takes no limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from console.engine.port import CONNECT_SECONDS, READ_SECONDS
from console.engine.postgres.driver import close, connect, log_in
from console.engine.postgres.errors import FAILURES, lost
from console.engine.postgres.probe import classify
from console.errors import ActionFailed, LoginRefused, OutcomeUnknown, PoolerRefused
from console.model.hooks import Pooler, PoolerAdmin
from console.model.probe import Answer, Probe
from console.model.target import EngineKind, Login, Target
from console.secrets import Secret

_AUTHENTICATION = "authentication failed"
# PgBouncer keeps the connection to the server, with this name, for the next client that has none: under our
# own it would be protected as ours, and nobody could end it after a rotation.
_LEFT = {"application_name": "login through PgBouncer (dbdeck)"}


async def login(way: Pooler, user: str, password: Secret) -> Probe:
    """Accepted is: let in, and a statement ran on the server behind. Never raises for an answer."""
    try:
        connection = await log_in(_target(way, user), Login(user=user), password, limits=_LEFT, purpose="")
    except asyncpg.ProtocolViolationError as error:
        # PgBouncer's word for a wrong password, and for much else, such as no room for another client.
        refused = _AUTHENTICATION in str(error)
        return Probe(answer=Answer.REJECTED if refused else Answer.UNKNOWN, why=str(error))
    except FAILURES as error:
        return classify(error)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.execute("select 1")
    except FAILURES as error:
        why = " ".join(str(error).split()) or type(error).__name__
        return Probe(answer=Answer.UNKNOWN, why=f"PgBouncer lets it in, the server behind does not: {why}")
    finally:
        await close(connection)
    return Probe(answer=Answer.ACCEPTED, identity=user)


async def reload_pooler(admin: PoolerAdmin) -> None:
    """Raises as `console.engine.pooler.reload_pooler`."""
    login = Login(user=admin.user, password=admin.password)
    try:
        connection = await connect(_target(admin.way, admin.user), login, limits={}, purpose="operator")
    except (LoginRefused, PoolerRefused) as error:
        raise LoginRefused(
            error.message,
            f"`admin.password` of the hook has to be what its auth_file has for {admin.user}, one of its "
            "admin_users",
        ) from None
    try:
        async with asyncio.timeout(READ_SECONDS):
            await connection.execute("RELOAD")
    except FAILURES as error:
        why = " ".join(str(error).split()) or "no answer in time"
        if lost(error):
            raise OutcomeUnknown(f"PgBouncer at {admin.way.address} was told to RELOAD: {why}") from None
        raise ActionFailed(
            f"PgBouncer at {admin.way.address} did not RELOAD: {why}",
            f"{admin.user} has to be one of its admin_users",
        ) from None
    finally:
        await close(connection)


def _target(way: Pooler, user: str) -> Target:
    """As the driver wants it; it is none of the config's."""
    return Target(
        name="PgBouncer",
        engine=EngineKind.POSTGRES,
        monitor=Login(user=user),
        host=way.host,
        port=way.port,
        database=way.database,
        tls=way.tls,
        ca=str(Path(way.ca).expanduser()) if way.ca else None,
    )
