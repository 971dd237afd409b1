"""One login attempt on MySQL or MariaDB, and what its answer says of the password; by error number.

MySQL "Server Error Message Reference", MariaDB "Error Codes".
"""

from __future__ import annotations

import asyncio
from datetime import UTC

from pymysql.err import MySQLError

from console.engine.mysql.driver import PORT, socket_path
from console.engine.mysql.errors import FAILURES, code_of
from console.engine.port import CONNECT_SECONDS
from console.errors import DbdeckError
from console.model.probe import Answer, Probe
from console.model.sessions import APPLICATION
from console.model.target import Target
from console.secrets import Secret
from console.wire.mysql import Address, connect_mysql

# The password was right, and something else stood in the way.
_ACCEPTED = {
    1044: "no right on the database",
    1049: "the database is not there",
    1203: "the account has all its connections",
    1226: "the account has used up what it may",
    1820: "the password has expired",
    1862: "the password has expired",
    3118: "the account is locked",
    4151: "the account is locked",
}
# The account is blocked for a time, whatever the password.
_BLOCKED = {3955: "the account is blocked for wrong passwords", 4150: "blocked for wrong passwords"}
_DENIED = 1045


async def probe(target: Target, user: str, password: Secret) -> Probe:
    """Never raises for what a server or a wire answers."""
    address = await asyncio.to_thread(_address, target, user, password)
    try:
        connection = await connect_mysql(address)
    except DbdeckError as error:
        cause = error.__context__
        return classify(code_of(cause) if isinstance(cause, MySQLError) else 0, error.message)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            rows = await connection.fetch("select current_user(), connection_id(), utc_timestamp(6)")
    except FAILURES as error:
        return classify(code_of(error), "it let us in and then did not answer", inside=True)
    finally:
        await connection.aclose()
    identity, session, at = rows.rows[0]
    return Probe(
        answer=Answer.ACCEPTED, identity=str(identity), session=int(session), at=at.replace(tzinfo=UTC)
    )


def classify(code: int, text: str, *, inside: bool = False) -> Probe:
    """What a refused login says of the password. `inside`: it was let in first."""
    if code in _ACCEPTED or inside:
        return Probe(answer=Answer.ACCEPTED, why=_ACCEPTED.get(code, text))
    if code == _DENIED:
        return Probe(
            answer=Answer.REJECTED,
            why="the password is wrong, or another row of the account matches this host",
        )
    return Probe(answer=Answer.UNKNOWN, why=_BLOCKED.get(code, text))


def _address(target: Target, user: str, password: Secret) -> Address:
    return Address(
        user=user,
        host=target.host,
        port=target.port or PORT,
        unix_socket=socket_path(target) if target.local else None,
        password=password,
        database=None,
        tls=target.tls,
        ca_file=target.ca,
        connect_timeout=CONNECT_SECONDS,
        program_name=f"{APPLICATION} probe",
    )
