"""What the pages of panes say that no code says: where columns come from, and what is said without that.

A source names a read by its file below console/engine/*/sql, or something of dbdeck itself in words.
"""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """A column: what it is, and the reads of PostgreSQL and of MySQL or MariaDB ("" has none)."""

    what: str
    postgres: str = ""
    mysql: str = ""


class Facts(NamedTuple):
    """`more` is the page by hand; `missing` are (what is missing, what is seen then)."""

    more: str
    columns: dict[str, Fact]
    missing: tuple[tuple[str, str], ...]
    also: tuple[str, str] = ("", "")  # reads behind notes and details, of each kind of engine


_SESSION = "sessions prepared"
_THREADS = "sessions processlist transactions"
_HIDDEN = ("`pg_monitor`", "others' sessions are `hidden`, *(no privilege to see it)*; their locks are seen")
_PROCESS = ("`PROCESS`", "MySQL and MariaDB refuse the read; the pane says so, with the GRANT")
_LEDGER_GONE = ("the ledger", "the last rows stay with their age, and the reason stands above them")
_CATALOG_GAP = (
    "a right on some objects",
    "what it hides is counted in a note with the GRANT, and never told as none",
)


def _own(what: str, source: str) -> Fact:
    return Fact(what, source, source)


SHOWS: dict[str, str] = {
    "overview": "Every target in a line, the worst first, with what is wrong and the last minutes as plots.",
    "locks": "Who blocks whom, as a tree: the root blockers, and who waits behind each.",
    "deadlocks": "Deadlocks that the server tells of, each with its cycle, its lock order and its victim.",
    "transactions": "Open transactions: how old they are, and what they hold, block and pin.",
    "horizon": "What keeps old row versions from being cleaned up, and what ends it.",
    "tables": "Size, dead rows and bloat of tables, when they were last vacuumed, and what holds that up.",
    "indexes": "Indexes and constraints that want something: invalid, missing, duplicate, unused, bloated.",
    "progress": "Statements that report how far they are, with rate and time left.",
    "accounts": "Who may log in, how their passwords are kept, how old they are, and who depends on them.",
    "drain": "Accounts whose old password is still kept or valid, and the sessions from before.",
    "backups": "What there is to restore from, how old it is, and when it was proved.",
    "drills": "Restore drills: their verdicts, and the RTO and RPO that they measured.",
    "trends": "What was promised of each source of backups and what was measured, over time.",
    "runbooks": "The runbooks that fit this server, and those that are suggested by what is seen now.",
    "runs": "Runs of runbooks: who began them, where they stand and how they ended.",
    "jobs": "What was started in this console: how far it is, and how it ended.",
    "audit": "The newest rows of the ledger: what was wanted, done, refused, approved and settled.",
    "effects": "What changed on the server, and which action declared it, if any.",
}

FACTS: dict[str, Facts] = {
    "overview": Facts(
        "overview.md",
        {
            "target": _own("its name in the config", "the config"),
            "what is wrong": _own("the worst of all that is known, in one sentence", "all of the line"),
            "waits": Fact("sessions that wait for a lock", "pulse locks", "pulse pulse_waits"),
            "conn": Fact("connections, of those that clients may have", "pulse", "pulse"),
            "work/s": Fact("transactions or statements a second, between two looks", "pulse", "pulse"),
            "WAL/s": Fact("WAL or redo a second, between two looks", "pulse", "pulse"),
            "lag": Fact("the replica that is furthest behind, or this one", "replicas", "replication"),
        },
        (
            (
                "`pg_monitor`, `REPLICATION CLIENT`, `SLAVE MONITOR`",
                "`?` in the column, the GRANT beneath the lines",
            ),
            ("an answer", "`■ BAD` with what the driver said; the last figures stay, with their age"),
        ),
        ("oldest_numbers slots disk", "data_files disks"),
    ),
    "locks": Facts(
        "locks.md",
        {
            "session": Fact("its number; `prepared` has none", f"{_SESSION} locks", _THREADS),
            "wait": Fact("since when it waits", "locks", "row_waits row_locks metadata_locks"),
            "blocks": Fact(
                "everybody behind it", "locks blocking_pids", "row_holders row_locks metadata_locks"
            ),
            "state": Fact("what it does", "sessions", _THREADS),
            "user": Fact("who", "sessions names", _THREADS),
            "object": Fact("what it waits for", "locks relations", "row_waits row_locks metadata_locks"),
            "mode": Fact("the lock that it asks for", "locks", "row_waits row_locks metadata_locks"),
            "xact": Fact("age of its transaction", "sessions", "transactions"),
            "application": Fact("as it calls itself", "sessions", "sessions applications"),
            "statement": Fact("what runs, or `(last)` ran", "sessions", "sessions last_statements"),
        },
        (
            _HIDDEN,
            _PROCESS,
            ("`CONNECT` on a database", "`relation N of database N (name unresolved)`"),
            ("the instrument of metadata locks", "waiters without a blocker, and a note with the statement"),
        ),
        ("safe_snapshots", "table_flush metadata_instrument"),
    ),
    "deadlocks": Facts(
        "deadlocks.md",
        {
            name: Fact(what, "log_chunk log_files log_current", "innodb_status deadlock_times")
            for name, what in {
                "time": "when it was",
                "of": "how many were in it",
                "victim": "who was rolled back",
                "times": "how often this kind was seen",
                "kind": "its fingerprint",
                "user": "the victim's",
                "wanted": "the lock that the victim asked for",
                "statement rolled back": "the victim's",
            }.items()
        },
        (
            (
                "`EXECUTE` on `pg_read_binary_file`, and no `log` of the target",
                "the counter alone, and the GRANT",
            ),
            _PROCESS,
        ),
        ("deadlock_counter log_source", "deadlock_count deadlock_errors deadlock_settings"),
    ),
    "transactions": Facts(
        "transactions.md#transactions",
        {
            "session": Fact("its number; `prepared` has none", _SESSION, f"{_THREADS} xa_prepared"),
            "age": Fact("of the transaction", _SESSION, "transactions"),
            "state": Fact("what it does", "sessions", _THREADS),
            "for": Fact("how long it has been in its state", "sessions", _THREADS),
            "blocks": Fact("everybody behind it", "locks", "row_holders row_locks metadata_locks"),
            "user": Fact("who", "sessions names", _THREADS),
            "rows": Fact("rows that it changed", "", "transactions"),
            "locks": Fact("its entries in the lock table", "locks", "transaction_objects"),
            "pins": Fact("transactions begun since the oldest row version it keeps", "sessions"),
            "application": Fact("as it calls itself", "sessions", "sessions applications"),
            "statement": Fact("what runs, or `(last)` ran", "sessions", "sessions last_statements"),
        },
        (
            _HIDDEN,
            _PROCESS,
            ("`XA_RECOVER_ADMIN` (MySQL)", "prepared XA transactions without their names"),
        ),
    ),
    "horizon": Facts(
        "transactions.md#horizon",
        {
            "behind": Fact(
                "transactions since, or the length of the history", "sessions prepared slots", "innodb_status"
            ),
            "since": Fact("how long it holds", "sessions prepared slots", "transactions"),
            "kind": Fact(
                "transaction, snapshot, slot …",
                "sessions prepared slots",
                "transactions xa_prepared",
            ),
            "holder": Fact("who", "sessions prepared slots names", _THREADS),
            "pins": Fact(
                "which tables it keeps from being cleaned", "sessions prepared slots", "innodb_status"
            ),
            "what ends it": _own("the action", "dbdeck"),
        },
        (_HIDDEN, _PROCESS),
        ("uncleaned", "undo_tablespaces"),
    ),
    "tables": Facts(
        "maintenance.md#tables",
        {
            "size": Fact("with toast and indexes", "tables", "tables"),
            "dead": Fact("dead rows by the statistics", "tables"),
            "bloat": Fact("an estimate from the statistics of columns", "columns tables"),
            "vacuum": Fact("how long ago", "tables"),
            "analyze": Fact("how long ago", "tables", "table_statistics"),
            "xid age": Fact("since the oldest row was frozen", "tables wraparound"),
            "rows": Fact("by the statistics", "tables", "tables"),
            "indexes": Fact("their size", "tables", "tables"),
            "free": Fact("what the engine says is free inside", "", "tables"),
            "table": Fact("its name", "tables", "tables"),
            "why": Fact("what keeps it from being looked after", "autovacuum wraparound", "innodb_status"),
        },
        (
            ("`SELECT` on the columns (`pg_read_all_data`)", "`?` under bloat, and the GRANT in a note"),
            _CATALOG_GAP,
            (
                "`SELECT` on `mysql.innodb_table_stats`",
                "when they were collected is unknown, and the GRANT is told",
            ),
        ),
        ("tables_chosen", "tables_hidden table_figures"),
    ),
    "indexes": Facts(
        "maintenance.md#indexes",
        {
            "finding": Fact(
                "what is wrong", "index_suspects index_rows foreign_keys keyless unvalidated", "index_parts"
            ),
            "size": Fact("of the index", "index_rows", "index_sizes"),
            "scans": Fact("since the statistics began", "index_rows scanned", "index_usage usage_userstat"),
            "table": Fact("its table", "index_rows", "index_tables"),
            "index or constraint": Fact("its name", "index_rows foreign_keys", "index_parts foreign_keys"),
            "why": Fact(
                "what that rests on", "index_columns statistics_since", "index_usage usage_instrument"
            ),
            "what mends it": _own("the action", "dbdeck"),
        },
        (
            (
                "`SELECT` on the columns (`pg_read_all_data`)",
                "bloat is unknown, and the GRANT is told in a note",
            ),
            _CATALOG_GAP,
            ("`SELECT` on `mysql.innodb_index_stats`", "sizes are unknown, and the GRANT is told"),
        ),
        ("index_definitions", "hidden_clusters automatic_numbers"),
    ),
    "progress": Facts(
        "maintenance.md#progress",
        {
            "session": Fact("its number", "progress", "stages thread_progress"),
            "command": Fact(
                "what is at work", "progress progress_repack", "stages thread_progress clone_progress"
            ),
            "for": Fact("how long", "sessions", "stages thread_progress"),
            "done": Fact("of how much", "progress progress_repack", "stages thread_progress clone_progress"),
            "left": _own("by the rate between looks", "dbdeck"),
            "rate": _own("between looks", "dbdeck"),
            "waits for": Fact("who is in its way", "locks", "row_holders row_locks metadata_locks"),
            "phase": Fact("as the server calls it", "progress progress_repack", "stages thread_progress"),
            "object": Fact("what it works on", "progress names", "stages thread_progress"),
        },
        (
            ("`pg_monitor`", "others' work comes without object and figures"),
            ("instruments of stages (MySQL)", "a note with the statement that switches them on"),
        ),
        ("", "stage_instruments"),
    ),
    "accounts": Facts(
        "accounts.md",
        {
            "account": Fact("its name, and host", "accounts", "accounts"),
            "login": Fact("whether anybody can log in as it", "accounts", "accounts"),
            "password": Fact("how it is kept", "account_kinds", "accounts"),
            "age": Fact("since it was changed", "our own rotations", "accounts"),
            "due": _own("by `rotation.every` of the config", "the config, the ledger"),
            "sessions": Fact("now", "account_sessions", "account_sessions processlist"),
            "older": Fact("logged in before the password changed", "account_sessions", "account_sessions"),
            "TLS": Fact("of sessions over a network", "account_sessions", "account_sessions"),
            "used by": Fact(
                "replicas and others",
                "account_receiver account_subscriptions account_mappings",
                "account_sources account_servers",
            ),
            "dangerous rights": Fact(
                "own, and through roles", "account_rights account_members", "account_rights account_roles"
            ),
        },
        (
            ("`SELECT` on three columns of `pg_authid`", "`?` under password, and the GRANT above the list"),
            (
                "`SELECT` on `mysql.user`, `mysql.global_priv`",
                "what cannot be read is unknown, and the GRANT is told",
            ),
        ),
    ),
    "drain": Facts(
        "rotation.md",
        {
            "account": Fact("its name, and host", "accounts", "accounts"),
            "rotated": _own("when", "the ledger"),
            "rotation": _own("which, and how it stands", "the ledger, the keyring"),
            "overlap": Fact("whether two passwords are valid", "accounts", "accounts"),
            "before": Fact("sessions from before", "account_sessions", "account_sessions processlist"),
            "since": Fact("sessions since", "account_sessions", "account_sessions processlist"),
            "what is left to do": _own("the next action", "dbdeck"),
        },
        (
            ("the keyring (locked)", "`what the keyring keeps is unknown`, and `u` unlocks it"),
            ("the verifiers", "whether two passwords are valid is unknown, and is counted above the list"),
        ),
    ),
    "backups": Facts(
        "drills.md",
        {
            name: _own(what, source)
            for name, (what, source) in {
                "source": ("its name in `drills`", "the config"),
                "backup": ("the file or folder", "the files"),
                "method": ("what made it", "the files"),
                "taken": ("when", "the files"),
                "age": ("since then", "the files"),
                "size": ("on the disk", "the files"),
                "proved": ("how its last drill ended", "the ledger"),
                "when": ("that drill was", "the ledger"),
            }.items()
        },
        (("the right to read the folder", "the source is told with the reason, not as empty"), _LEDGER_GONE),
    ),
    "drills": Facts(
        "drills.md#a-drill",
        {
            name: _own(what, "the ledger")
            for name, what in {
                "drilled": "when",
                "source": "which",
                "verdict": "passed, or what failed",
                "RTO": "how long the restore took",
                "RPO": "how old the newest data was",
                "checks": "how many held",
                "size": "of what was restored",
                "backup": "which",
                "why": "what the verdict rests on",
            }.items()
        },
        (_LEDGER_GONE,),
    ),
    "trends": Facts(
        "drills.md#the-report",
        {
            name: _own(what, "the ledger, the config")
            for name, what in {
                "source": "which",
                "proved": "when it last was",
                "due": "when the next drill is",
                "restored in, over time": "a plot of the RTO",
                "last": "the newest of the plot beside it",
                "promised": "by the config",
                "data lost, over time": "a plot of the RPO",
            }.items()
        },
        (_LEDGER_GONE,),
    ),
    "runbooks": Facts(
        "runbooks.md#in-the-console",
        {
            "runbook": _own("its id", "the documents"),
            "risk": _own("the highest of its actions", "the documents"),
            "last run": _own("how it ended", "the ledger"),
            "engines": _own("which it is for", "the documents"),
            "why now, or what for": _own("what the panes see, or its title", "the other panes"),
        },
        (
            ("what a suggestion rests on", "nothing is suggested; `l` looks at all of it"),
            ("a ledger that answers", "the library, and that the last runs are not known"),
        ),
    ),
    "runs": Facts(
        "runbooks.md#a-run",
        {
            "state": _own("at work, waiting, ended", "the ledger"),
            "runbook": _own("its id", "the ledger"),
            "target": _own("where", "the ledger"),
            "by": _own("who has it", "the ledger"),
            "began (UTC)": _own("when", "the ledger"),
            "last": _own("its newest row", "the ledger"),
            "result": _own("what came of it", "the ledger"),
        },
        (_LEDGER_GONE,),
    ),
    "jobs": Facts(
        "keys.md#jobs",
        {
            name: _own(what, "this console")
            for name, what in {
                "started": "when",
                "state": "at work, or how it ended",
                "took": "how long",
                "done": "of how much",
                "left": "as far as one can tell",
                "target": "where",
                "job": "what",
                "what it says": "its last word",
            }.items()
        },
        (("anything", "nothing: it reads no server and no ledger"),),
    ),
    "audit": Facts(
        "audit.md#rows",
        {
            name: _own(what, "the ledger")
            for name, what in {
                "id": "of the row",
                "at (UTC)": "by the ledger's clock",
                "kind": "intent, step, outcome …",
                "action": "which",
                "target": "where",
                "operator": "by which login",
                "what": "what the row says",
            }.items()
        },
        (_LEDGER_GONE,),
    ),
    "effects": Facts(
        "audit.md#effects-nobody-declared",
        {
            "at (UTC)": _own("when it was, or between which looks", "the ledger"),
            "standing": _own("declared, undeclared, unclear", "the ledger"),
            "what": _own("what differs", "the ledger"),
            "who": _own("where the server tells", "the ledger"),
            "declared by": _own("the action", "the ledger"),
        },
        (
            (
                "a look (`dbdeck audit compare`)",
                "*No look at this target was recorded*, and the command that takes one",
            ),
            _LEDGER_GONE,
        ),
    ),
}
