"""Commands as a person can paste them, never sent from here: GRANTs, DDL, and actions."""

from __future__ import annotations

import re
import shlex

from console.engine.queries import quote_ident

INSTALL = "CREATE EXTENSION pgstattuple;"
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def role_in_sql(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quote_ident(name, "postgresql")


def as_argument(schema: str, name: str) -> str:
    """A table or an index as the arguments of actions take it."""
    return f"{role_in_sql(schema)}.{role_in_sql(name)}"


def to_read_data(version: int, user: str) -> str:
    """What opens statistics and sequences: pg_stats and pg_sequence_last_value() ask for SELECT."""
    if version >= 140000:
        return f"GRANT pg_read_all_data TO {role_in_sql(user)};"
    role = role_in_sql(user)
    return (
        f"GRANT SELECT ON ALL TABLES IN SCHEMA … TO {role}; "
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA … TO {role};"
    )


def past_row_security(user: str) -> str:
    return f"ALTER ROLE {role_in_sql(user)} BYPASSRLS;"


def drop_index(sql_name: str, *, partitioned: bool) -> str:
    return f"DROP INDEX {'' if partitioned else 'CONCURRENTLY '}{sql_name};"


def drop_constraint(sql_table: str, constraint: str) -> str:
    return f"ALTER TABLE {sql_table} DROP CONSTRAINT {quote_ident(constraint, 'postgresql')};"


def validate(sql_table: str, sql_constraint: str) -> str:
    return f"ALTER TABLE {sql_table} VALIDATE CONSTRAINT {sql_constraint};"


def add_key(sql_table: str, candidate: str | None) -> str:
    """`candidate`: a unique index of columns that are never NULL."""
    if candidate:
        return f"ALTER TABLE {sql_table} ADD PRIMARY KEY USING INDEX {candidate};"
    return f"ALTER TABLE {sql_table} ADD PRIMARY KEY (…);"


def attach_index(sql_name: str) -> str:
    return f"ALTER INDEX {sql_name} ATTACH PARTITION …;"


def action(name: str, **arguments: str | tuple[str, ...]) -> str:
    """An action with its arguments as words of a shell; an argument of several values is repeated."""
    words = [name]
    for key, given in arguments.items():
        values = (given,) if isinstance(given, str) else given
        words += [f"{key}={shlex.quote(value)}" for value in values]
    return " ".join(words)


def to_set_passwords(name: str, user: str, version: int) -> str:
    """What lets a role set the password of another one; manual, "ALTER ROLE": 16 wants ADMIN OPTION, too."""
    also = f" GRANT {name} TO {role_in_sql(user)} WITH ADMIN OPTION;" if version >= 160000 else ""
    return f"ALTER ROLE {role_in_sql(user)} CREATEROLE;{also}"
