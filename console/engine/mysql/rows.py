"""Rows of the session and transaction views -> the model. Pure: one function a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.model.sessions import Protection, Session, State, is_ours

Record = Mapping[str, Any]

ROW_LOCK = "row lock"
TABLE_FLUSH = "Waiting for table flush"
# MDL_key::m_namespace_to_wait_state_name in sql/mdl.cc of both servers, and the table flush. The
# query cache lock is a mutex and not a lock.
_WAITS = re.compile(r"(?!.*query cache)(Waiting for .*(lock|flush)|User lock)$")
_DUMPS = ("mysqldump", "mariadb-dump", "mysqlpump", "mydumper", "xtrabackup", "mariabackup", "mariadb-backup",
          "mysqlbackup")  # fmt: skip
_CLIENT_THREADS = ("one_connection", "tp_one_connection", "event_worker")
_NUMBERS_END = 1 << 48  # MySQL makes up larger ones for transactions that only read; trx0trx.ic
_BACKGROUND = (Protection.SERVER, Protection.REPLICA, Protection.WALSENDER)
_REPLICA_THREAD = re.compile(r"slave|replica|group_rpl|wsrep")


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A row of INNODB_TRX. `session` is 0 for a prepared XA transaction whose client is gone; `id` is 0
    for every transaction of MariaDB that has not written.

    `started` and `wait_started` are epoch seconds of the server, whole ones; `seconds` its age.
    """

    id: int
    session: int
    waiting: bool
    started: float
    seconds: float
    wait_started: float | None = None
    lock_id: str | None = None
    rows_modified: int = 0
    rows_locked: int = 0
    isolation: str | None = None
    rolling_back: bool = False

    @property
    def number(self) -> int | None:
        """None until it writes: what the server shows before is no number of its own."""
        return self.id if 0 < self.id < _NUMBERS_END else None

    @property
    def node(self) -> int:
        """Its session in the wait graph; minus its own id where it has none."""
        return self.session or -self.id


def transaction(row: Record) -> Transaction:
    wait = row["wait_started"]
    return Transaction(
        id=int(row["trx_id"]),
        session=int(row["session_id"]),
        waiting=row["state"] == "LOCK WAIT",
        started=float(row["started"]),
        seconds=max(0.0, float(row["clock"]) - float(row["started"])),
        wait_started=None if wait is None else float(wait),
        lock_id=row["lock_id"],
        rows_modified=int(row["rows_modified"]),
        rows_locked=int(row["rows_locked"]),
        isolation=row["isolation"],
        rolling_back=row["state"] == "ROLLING BACK",
    )


def current(transactions: Iterable[Transaction], rows: Iterable[Record]) -> tuple[Transaction, ...]:
    """The transactions that the list of sessions bears out: InnoDB's tables may be older than it."""
    commands = {row["id"]: row["command"] for row in rows}
    return tuple(
        msgspec.structs.replace(one, waiting=one.waiting and commands.get(one.session) != "Sleep")
        for one in transactions
        if not one.session or one.session in commands
    )


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a session of a row, beyond the row: the server's start, our ids, transactions."""

    started_at: datetime
    own: Collection[int] = ()
    transactions: Mapping[int, Transaction] = {}
    applications: Mapping[int, str] = {}


def session(row: Record, server: Server) -> Session:
    number = int(row["id"])
    open_transaction = server.transactions.get(number)
    application = row["application"] or server.applications.get(number)
    protection = _protection(row, application, own=number in server.own)
    state = _state(row["command"], protection, in_transaction=open_transaction is not None)
    seconds = _seconds(row["seconds"])
    running = state is State.ACTIVE
    return Session(
        id=number,
        started_at=server.started_at,
        user=row["user"] or None,
        database=row["db"] or None,
        application=application or None,
        client=(row["host"] or "").partition(":")[0] or None,
        kind=_kind(row, protection),
        state=state,
        query=row["query"] or None,
        query_id=row["query_id"] if running else None,
        query_seconds=_first(row["statement_seconds"], seconds) if running else None,
        state_seconds=seconds,
        transaction_seconds=open_transaction.seconds if open_transaction else None,
        transaction_started_at=_instant(open_transaction.started) if open_transaction else None,
        wait=_wait(row, open_transaction, running=running or protection is Protection.REPLICA),
        rows_modified=open_transaction.rows_modified if open_transaction else None,
        protection=protection,
    )


def _state(command: str | None, protection: Protection | None, *, in_transaction: bool) -> State:
    if protection in _BACKGROUND:
        return State.BACKGROUND
    if command == "Killed":
        return State.ENDING
    if command == "Sleep":
        return State.IDLE_IN_TRANSACTION if in_transaction else State.IDLE
    return State.ACTIVE if command else State.UNKNOWN


def _protection(row: Record, application: str | None, *, own: bool) -> Protection | None:
    command, user = row["command"] or "", row["user"]
    if own or is_ours(application):
        return Protection.OWN
    if command.startswith("Binlog Dump"):
        return Protection.WALSENDER
    if _is_replica(row):
        return Protection.REPLICA
    # MySQL shows its scheduler as the user of an event, which runs statements of somebody's all the same.
    scheduler = user == "event_scheduler" and not _is_event(row)
    if command == "Daemon" or scheduler or not _is_client(row["thread"]):
        return Protection.SERVER
    return Protection.BACKUP if (application or "").lower().startswith(_DUMPS) else None


def _is_replica(row: Record) -> bool:
    """MySQL names its threads; MariaDB runs appliers and Galera's threads as 'system user'."""
    if row["thread"] is not None:
        return bool(_REPLICA_THREAD.search(row["thread"]))
    command = row["command"] or ""
    return command.startswith("Slave") or (row["user"] == "system user" and command != "Daemon")


def _is_client(thread: str | None) -> bool:
    return thread is None or thread.rpartition("/")[2] in _CLIENT_THREADS


def _kind(row: Record, protection: Protection | None) -> str:
    if protection not in _BACKGROUND:
        return "event of the scheduler" if _is_event(row) else "client backend"
    return (row["thread"] or row["command"] or "server").rpartition("/")[2].lower()


def _is_event(row: Record) -> bool:
    """MySQL names its thread. On MariaDB it is connected for as long as it runs a statement: a client is only
    before it may run one of its own.
    """
    if row["thread"] is not None:
        return bool(row["thread"].endswith("/event_worker"))
    begins = "init_c" in (row["state"] or "") or row["user"] == "unauthenticated user"
    return row["command"] == "Connect" and bool(row["query"]) and not begins


def _wait(row: Record, open_transaction: Transaction | None, *, running: bool) -> str | None:
    if open_transaction is not None and open_transaction.waiting:
        return ROW_LOCK
    return (row["state"] or None) if running else None


def waits_for_lock(session: Session) -> bool:
    """A row lock, a metadata lock of any kind, a table flush, a user lock or a table-level lock."""
    return session.wait == ROW_LOCK or bool(_WAITS.match(session.wait or ""))


def _seconds(value: object) -> float | None:
    """Replica threads may show nonsense below zero."""
    return None if value is None else max(0.0, float(str(value)))


def _first(precise: object, coarse: float | None) -> float | None:
    return coarse if precise is None else _seconds(precise)


def _instant(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def account_literal(account: str) -> str:
    """`CURRENT_USER()` as GRANT takes it: 'user'@'host'."""
    user, _, host = account.rpartition("@")
    return "@".join(f"'{part.replace(chr(39), chr(39) * 2)}'" for part in (user, host))
