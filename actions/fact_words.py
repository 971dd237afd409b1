"""What several actions have in common of what is said before a plan: locks and rights.

Sources: PostgreSQL manual 13.3.1 (table locks), 22.5 (predefined roles) and the pages of the commands; MySQL
manual 10.11.4 (metadata locks), 8.2.2 (privileges) and the pages of the statements; MariaDB "GRANT" and the
pages of the statements; the locks were not observed on servers.
"""

from __future__ import annotations

from collections.abc import Mapping

from console.dispatch.facts import On

# ---- sessions ----------------------------------------------------------------------------------

_FREES = "none of its own; those of what is ended are freed as it ends"
SESSIONS: Mapping[str, On] = {
    "postgresql": On(
        locks=_FREES,
        rights="`pg_signal_backend` and `pg_read_all_stats`, which `pg_monitor` has; a superuser for a "
        "superuser's session",
    ),
    "mysql": On(
        locks=_FREES,
        rights="`CONNECTION_ADMIN`, `PROCESS` and `SELECT` on `performance_schema.*`; `SYSTEM_USER` for "
        "sessions of accounts that have it",
    ),
    "mariadb": On(locks=_FREES, rights="`CONNECTION ADMIN` and `PROCESS`"),
}

# ---- tables and indexes ------------------------------------------------------------------------

BESIDE = "reads and writes go on, DDL and other maintenance of it wait"
READING = "metadata lock SHARED_READ on each table: reads and writes go on, what would change the table waits"
REBUILDING = (
    "metadata lock EXCLUSIVE at the beginning and at the end: readers and writers wait there, and not "
    "between; all the time where the table's engine cannot do it online"
)
BUILDING = (
    "metadata lock EXCLUSIVE at the beginning and at the end: readers and writers wait there, and not "
    "between; what the table's engine cannot do beside writers is refused"
)
MAINTAIN = "`pg_maintain` or `MAINTAIN` on the table (17+), or its owner's role"
TO_MAINTAIN = "`SELECT` and `INSERT` on the tables"

# ---- rows --------------------------------------------------------------------------------------

_BATCH_RIGHTS = (
    "`SELECT` and `DELETE` on the table, `INSERT` on the archive (`CREATE` where it is made); the monitor "
    "needs `SELECT` on the tables"
)
_BATCH_LOCKS = (
    "the rows of one batch and, without an index on them, all that are read, with the gaps between, until "
    "it is committed; metadata lock SHARED_WRITE, for which changes of the table wait"
)
BATCHES = On(locks=_BATCH_LOCKS, rights=_BATCH_RIGHTS)

# ---- accounts ----------------------------------------------------------------------------------

ON_ROLE = "none on tables; the role's own row in the catalog, for a moment"
ON_ACCOUNT = "none on tables; the accounts, for a moment in which logins wait"
ACCOUNTS: Mapping[str, On] = {
    "postgresql": On(
        locks=ON_ROLE,
        rights="`CREATEROLE`, and from 16 `ADMIN OPTION` on the role; a superuser for a superuser",
    ),
    "mysql": On(locks=ON_ACCOUNT, rights="`CREATE USER`; `SYSTEM_USER` for accounts that have it"),
    "mariadb": On(locks=ON_ACCOUNT, rights="`CREATE USER`"),
}
# dbdeck's own account, where it has no right over others: see `credential_own`.
SETS_PASSWORDS: Mapping[str, On] = {
    **ACCOUNTS,
    "mysql": On(
        locks=ON_ACCOUNT,
        rights=f"{ACCOUNTS['mysql'].rights}; none for dbdeck's own account, whose old password stays valid "
        "with `APPLICATION_PASSWORD_ADMIN` only",
    ),
    "mariadb": On(
        locks=ON_ACCOUNT,
        rights=f"{ACCOUNTS['mariadb'].rights}, with `plaintext` also `UPDATE` on `mysql.*`; none for "
        "dbdeck's own account",
    ),
}

# ---- what leaves the target alone ----------------------------------------------------------------

NOTHING = On(locks="none: the target's server is not touched", rights="none on the target's server")
UNTOUCHED: Mapping[str, On] = dict.fromkeys(("postgresql", "mysql", "mariadb"), NOTHING)
