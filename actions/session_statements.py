"""The statements that end a session or its query: the server checks the identity in the same statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.dispatch.action import Result
from console.engine.port import Row, Statement
from console.engine.queries import shown
from console.errors import ActionFailed
from console.model.sessions import Session
from console.model.target import ServerIdentity

# pg_stat_get_activity() is below pg_stat_activity: it reads no catalog, so it answers even while
# somebody holds pg_authid or pg_database exclusively. CASE keeps the signal from being sent to a
# session that is not the one that was seen; `hidden` tells a missing privilege from a changed one.
_POSTGRES = """
SELECT CASE WHEN a.backend_start = $2 AND {same} THEN {signal}(a.pid) END AS sent,
       a.backend_start IS NULL AS hidden
  FROM pg_stat_get_activity($1) AS a
 WHERE a.pid = $1
"""


def terminate(server: ServerIdentity, session: Session, transaction: datetime | None) -> Statement:
    """With `transaction` given (its start as planned) a session that has begun another one is spared."""
    if server.flavor == "postgresql":
        same = "a.xact_start = $3" if transaction else "true"
        args: tuple[object, ...] = (session.id, session.started_at)
        return _statement(_POSTGRES.format(same=same, signal="pg_terminate_backend"),
                          (*args, transaction) if transaction else args)  # fmt: skip
    raise NotImplementedError(server.flavor)


def cancel(server: ServerIdentity, session: Session) -> Statement:
    """Only the statement that was seen: another one of the same session is spared."""
    if server.flavor == "postgresql":
        same = "a.state = 'active' AND a.query_start = $3"
        return _statement(
            _POSTGRES.format(same=same, signal="pg_cancel_backend"),
            (session.id, session.started_at, session.query_started_at),
        )
    raise NotImplementedError(server.flavor)


def _statement(sql: str, args: tuple[object, ...]) -> Statement:
    return Statement(sql=sql, args=args, shown=shown(sql, args))


def outcome(rows: Sequence[Row], user: str) -> Result:
    """Whether the statement found the session it was meant for. Raises ActionFailed for a hidden one."""
    if not rows:
        return Result(matched=False, evidence={"found": "no such session"})
    sent, hidden = rows[0][0], bool(rows[0][1])
    if hidden:
        raise ActionFailed(
            f"{user} may not see whose session it is, so nothing was sent",
            f"GRANT pg_read_all_stats TO {user};",
        )
    return Result(
        matched=bool(sent), evidence={"signal": "sent" if sent else "not sent: the session changed"}
    )
