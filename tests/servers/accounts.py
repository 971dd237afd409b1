"""The accounts that every test server has, with the least privileges that dbdeck documents."""

from __future__ import annotations

import os

MONITOR = "dbdeck_monitor"
OPERATOR = "dbdeck_operator"
MAINTAINER = "dbdeck_maintainer"  # an operator that owns what the application owns
ROTATOR = "dbdeck_rotator"  # an operator that sets passwords
APP = "app_user"
PASSWORDS = {
    MONITOR: "monitor-pw",
    OPERATOR: "operator-pw",
    MAINTAINER: "maintainer-pw",
    ROTATOR: "rotator-pw",
    APP: "app-pw",
}
VARIABLES = {
    MONITOR: "DBDECK_TEST_MONITOR",
    OPERATOR: "DBDECK_TEST_OPERATOR",
    MAINTAINER: "DBDECK_TEST_MAINTAINER",
    ROTATOR: "DBDECK_TEST_ROTATOR",
}

# What `new_database` makes; MySQL grants the application everything in databases so named.
DATABASE_PREFIX = "dbdeck_test_"


def login(user: str) -> dict[str, str]:
    """A login as the config writes it; the variable is set by `publish`."""
    return {"user": user, "password": f"env:{VARIABLES[user]}"}


def publish() -> None:
    for user, variable in VARIABLES.items():
        os.environ[variable] = PASSWORDS[user]


def postgres_statements() -> list[str]:
    made = [f"CREATE ROLE {user} LOGIN PASSWORD '{word}'" for user, word in PASSWORDS.items()]
    return [
        *made,
        f"GRANT pg_monitor TO {MONITOR}",
        f"GRANT pg_monitor, pg_signal_backend TO {OPERATOR}",
        f"GRANT pg_monitor, {APP} TO {MAINTAINER}",
        f"ALTER ROLE {ROTATOR} CREATEROLE",
    ]


def mysql_statements(flavor: str) -> list[str]:
    made = [f"CREATE USER {user}@'%' IDENTIFIED BY '{word}'" for user, word in PASSWORDS.items()]
    killer = "CONNECTION ADMIN" if flavor == "mariadb" else "CONNECTION_ADMIN"
    more = ", SLAVE MONITOR" if flavor == "mariadb" else ""
    prefix = DATABASE_PREFIX.replace("_", r"\_")
    return [
        *made,
        f"GRANT PROCESS, REFERENCES, REPLICATION CLIENT{more} ON *.* TO {MONITOR}@'%'",
        f"GRANT SELECT ON mysql.innodb_table_stats TO {MONITOR}@'%'",
        f"GRANT SELECT ON mysql.innodb_index_stats TO {MONITOR}@'%'",
        f"GRANT SELECT ON performance_schema.* TO {MONITOR}@'%'",
        f"GRANT PROCESS, {killer} ON *.* TO {OPERATOR}@'%'",
        f"GRANT SELECT ON performance_schema.* TO {OPERATOR}@'%'",
        f"GRANT ALL ON `{prefix}%`.* TO {APP}@'%'",
        f"GRANT PROCESS ON *.* TO {MAINTAINER}@'%'",
        f"GRANT SELECT ON performance_schema.* TO {MAINTAINER}@'%'",
        f"GRANT SELECT, INSERT, INDEX, ALTER ON `{prefix}%`.* TO {MAINTAINER}@'%'",
        f"GRANT CREATE USER, PROCESS{more} ON *.* TO {ROTATOR}@'%'",
        f"GRANT SELECT ON mysql.* TO {ROTATOR}@'%'",
        f"GRANT SELECT ON performance_schema.* TO {ROTATOR}@'%'",
        *([f"GRANT OPTIMIZE_LOCAL_TABLE ON *.* TO {MAINTAINER}@'%'"] if flavor == "mysql" else []),
    ]
