"""Server, driver and socket errors -> the error tree, by error number and never by text."""

from __future__ import annotations

from pymysql.err import MySQLError

from console.errors import (
    ActionFailed,
    Cancelled,
    DbdeckError,
    LockTimeout,
    OutcomeUnknown,
    PrivilegeMissing,
    ServerSilent,
    Unreachable,
)
from console.model.target import Target

FAILURES = (MySQLError, OSError, TimeoutError)

# MySQL "Server Error Message Reference", MariaDB "Error Codes".
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 3630})
_DENIED_READ = DENIED | {1401}  # XAER_RMERR: what XA RECOVER says without XA_RECOVER_ADMIN
OVER_LIMIT = frozenset(
    {1205, 1317, 1969, 3024}
)  # lock wait, interrupted, max_statement_time, max_execution_time
# The connection is gone: 1053 shutdown, 1927 and 3169 it was killed, 20xx the client library's.
_GONE = frozenset({0, 1053, 1079, 1080, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031})


LOCK_WAIT = 1205
# ER_NOT_VALID_PASSWORD, ER_CREDENTIALS_CONTRADICT_TO_HISTORY; MariaDB says only that ALTER USER failed.
PASSWORD_REFUSED = frozenset({1819, 3638, 1396})
# ER_UNKNOWN_COM_ERROR with a text of its own is how Galera refuses statements; a proxy may use it, too.
_UNREADY, _GALERA = 1047, "WSREP"
_REFUSES = (
    "a node of Galera refuses statements in no Primary component, while its state is transferred, and with "
    "wsrep_reject_queries: SHOW STATUS LIKE 'wsrep_%' says which"
)
INTERRUPTED = frozenset({1317, 1969, 3024})


class OutOfCluster(Unreachable):
    """The node answers, and refuses what reads a table, or begins a transaction."""


def _refuses(error: BaseException) -> bool:
    return code_of(error) == _UNREADY and _GALERA in text_of(error)


def code_of(error: BaseException) -> int:
    """The server's error number; 0 where the error is not the server's."""
    first = error.args[0] if isinstance(error, MySQLError) and error.args else 0
    return first if isinstance(first, int) else 0


def answered(error: BaseException) -> bool:
    """The server itself refused the statement, and the connection lives on."""
    code = code_of(error)
    return code not in _GONE and not 2000 <= code < 3000


def text_of(error: BaseException) -> str:
    """One line for people, with the server's error number."""
    code = code_of(error)
    words = str(error.args[1]) if code and len(error.args) > 1 else str(error)
    return (" ".join(words.split()) or type(error).__name__) + (f" ({code})" if code else "")


def on_connect(error: Unreachable, target: Target) -> Unreachable:
    """Why a connection could not be opened: the wire's own error, with the target it is about."""
    return type(error)(f"{target.name}: {error.message}", error.hint)


def on_read(error: BaseException, target: Target, what: str, hint: str = "") -> DbdeckError:
    """Why a read brought nothing; `hint` is the GRANT that would help."""
    if isinstance(error, TimeoutError):
        return ServerSilent(
            f"{target.name} did not answer {what} in time", "it may hang, or the network does"
        )
    code = code_of(error)
    if code in _DENIED_READ:
        return PrivilegeMissing(f"{target.name}: no privilege to read {what}: {text_of(error)}", hint)
    if code in OVER_LIMIT:
        return ServerSilent(
            f"{target.name}: the read of {what} ran into its limit: {text_of(error)}",
            "the server is very slow",
        )
    said = f"{target.name}: {what} could not be read: {text_of(error)}"
    return OutOfCluster(said, _REFUSES) if _refuses(error) else Unreachable(said)


def on_effect(error: BaseException, target: Target, user: str) -> DbdeckError:
    """Refused by the server (the end state is known), or answer lost (it is not)."""
    if not answered(error):
        return OutcomeUnknown(
            f"{target.name}: the statement was sent and its answer was lost ({text_of(error)})",
            "look at the server before anything else; `dbdeck audit reconcile` settles the record",
        )
    if code_of(error) in DENIED or code_of(error) == 1095:
        return ActionFailed(
            f"{target.name}: {user} may not do this: {text_of(error)}",
            "the operator needs CONNECTION_ADMIN (MySQL; SYSTEM_USER for such accounts' sessions) "
            "or CONNECTION ADMIN (MariaDB)",
        )
    if code_of(error) == LOCK_WAIT:
        return LockTimeout(f"{target.name}: the lock was not to be had in time: {text_of(error)}")
    if code_of(error) in INTERRUPTED:
        return Cancelled(f"{target.name}: the statement was cancelled: {text_of(error)}")
    hint = _REFUSES if _refuses(error) else ""
    return ActionFailed(f"{target.name}: the server refused the statement: {text_of(error)}", hint)
