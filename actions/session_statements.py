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
_POSTGRES_IDLE = """a.state IN ('idle in transaction', 'idle in transaction (aborted)')
       AND clock_timestamp() - a.state_change >= make_interval(secs => $4)"""


# MySQL has no conditional KILL: the text of the statement is computed where the identity is compared,
# and executed in the same packet. `DO 0` does nothing.
_MYSQL = """
SET @dbdeck = IFNULL((SELECT CONCAT('{verb} ', t.processlist_id)
  FROM performance_schema.threads AS t{join}
 WHERE t.processlist_id = %s AND {server} AND {same}), 'DO 0');
PREPARE dbdeck FROM @dbdeck;
EXECUTE dbdeck;
DEALLOCATE PREPARE dbdeck;
SELECT @dbdeck <> 'DO 0' AS sent, 0 AS hidden
"""
_MYSQL_STATEMENT = """
  JOIN performance_schema.events_statements_current AS e
    ON e.thread_id = t.thread_id AND e.nesting_event_level = 0"""
_MYSQL_START = """(SELECT ABS(UNIX_TIMESTAMP() - u.variable_value - %s) <= 2
  FROM performance_schema.global_status AS u WHERE u.variable_name = 'Uptime')"""
# Seconds as the server counts them, by their turns: up to one more than have passed.
_MYSQL_IDLE = "t.processlist_command = 'Sleep' AND t.processlist_time >= %s"

_MARIADB = """
BEGIN NOT ATOMIC
  IF EXISTS (SELECT 1 FROM information_schema.processlist AS t
              WHERE t.id = %s AND {server} AND {same})
  THEN {verb} %s; SELECT 1 AS sent, 0 AS hidden;
  ELSE SELECT 0 AS sent, 0 AS hidden;
  END IF;
END
"""
_MARIADB_START = """(SELECT ABS(UNIX_TIMESTAMP() - u.variable_value - %s) <= 2
  FROM information_schema.global_status AS u WHERE u.variable_name = 'UPTIME')"""
_MARIADB_IDLE = "t.command = 'Sleep' AND t.time >= %s"

# InnoDB tells when a transaction began in whole seconds of the server's own time zone.
_TRANSACTION = """EXISTS (SELECT 1 FROM information_schema.innodb_trx AS x
  WHERE x.trx_mysql_thread_id = %s
    AND ABS(UNIX_TIMESTAMP(CONVERT_TZ(x.trx_started, 'SYSTEM', @@session.time_zone)) - %s) < 1)"""


def terminate(
    server: ServerIdentity, session: Session, transaction: datetime | None, idle: float | None = None
) -> Statement:
    """With `transaction` given (its start as planned) a session that has begun another one is spared.

    With `idle` (seconds) as well, one that has worked in that time is spared too.
    """
    if server.flavor == "postgresql":
        return _terminate_postgres(session, transaction, idle)
    bound: tuple[object, ...] = (session.id, int(server.started_at.timestamp()))
    same = [_TRANSACTION] if transaction else ["TRUE"]
    bound += (session.id, int(transaction.timestamp())) if transaction else ()
    mysql = server.flavor == "mysql"
    if idle is not None:
        same.append(_MYSQL_IDLE if mysql else _MARIADB_IDLE)
        bound += (int(idle),)
    if mysql:
        sql = _MYSQL.format(verb="KILL CONNECTION", join="", server=_MYSQL_START, same=" AND ".join(same))
        return _statement(sql, bound)
    sql = _MARIADB.format(verb="KILL CONNECTION", server=_MARIADB_START, same=" AND ".join(same))
    return _statement(sql, (*bound, session.id))


def _terminate_postgres(session: Session, transaction: datetime | None, idle: float | None) -> Statement:
    same = "a.xact_start = $3" if transaction else "true"
    bound = (session.id, session.started_at, *((transaction,) if transaction else ()))
    if idle is not None:
        same = f"{same} AND {_POSTGRES_IDLE}"
        bound = (*bound, float(idle))
    return _statement(_POSTGRES.format(same=same, signal="pg_terminate_backend"), bound)


def cancel(server: ServerIdentity, session: Session) -> Statement:
    """Only the statement that was seen: another one of the same session is spared."""
    if server.flavor == "postgresql":
        same = "a.state = 'active' AND a.query_start = $3"
        return _statement(
            _POSTGRES.format(same=same, signal="pg_cancel_backend"),
            (session.id, session.started_at, session.query_started_at),
        )
    bound = (session.id, int(server.started_at.timestamp()), session.query_id)
    if server.flavor == "mysql":
        same = "e.statement_id = %s AND e.end_event_id IS NULL"
        sql = _MYSQL.format(verb="KILL QUERY", join=_MYSQL_STATEMENT, server=_MYSQL_START, same=same)
        return _statement(sql, bound)
    # MariaDB checks the statement once more itself: KILL QUERY ID is bound to it.
    same = "t.query_id = %s AND t.command <> 'Sleep'"
    sql = _MARIADB.format(verb="KILL QUERY ID", server=_MARIADB_START, same=same)
    return _statement(sql, (*bound, session.query_id))


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
