"""Which settings are harmless, which want care, and which are not dbdeck's to change."""

from __future__ import annotations

import re

from console.dispatch.action import Risk

# Time-outs and what is written to the log: they free what is stuck, or tell more.
HARMLESS = frozenset(
    {
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "transaction_timeout",
        "statement_timeout",
        "lock_timeout",
        "log_lock_waits",
        "deadlock_timeout",
        "innodb_print_all_deadlocks",
        "innodb_lock_wait_timeout",
        "lock_wait_timeout",
        "wait_timeout",
        "interactive_timeout",
        "max_execution_time",
        "max_statement_time",
        "idle_transaction_timeout",
        "idle_write_transaction_timeout",
        "idle_readonly_transaction_timeout",
    }
)
_REFUSED = (
    (
        r"ssl.*|tls_.*|.*_ssl_.*|.*_tls_.*|.*require_secure.*|krb_.*|gss_.*|.*_cert|.*_key",
        "it decides who may read the connections",
    ),
    (
        r".*password.*|authentication_policy|default_authentication.*|caching_sha2.*|.*keyring.*|mandatory_roles|"
        r"role|session_authorization|row_security|createrole_self_grant|partial_revokes|.*skip_grant.*|"
        r"is_superuser|automatic_sp_privileges|check_proxy_users|.*_role|oauth_.*|pam_.*|scram_.*",
        "it is about accounts and what they may do",
    ),
    (r".*conninfo.*|master_.*|rpl_semi_sync.*password", "it may hold a secret"),
    (
        r".*_libraries|.*_library(?:_path)?|dynamic_library_path|plugin_.*|.*_command|.*_program|jit_provider|"
        r"init_connect|init_file|init_replica|init_slave|.*_file|.*_directory|.*_dir|secure_.*|local_infile",
        "it names files, libraries or commands that the server uses",
    ),
    (
        r"session_replication_role|allow_system_table_mods|zero_damaged_pages|ignore_.*|fsync|full_page_writes|"
        r"allow_in_place_tablespaces|foreign_key_checks|unique_checks|innodb_doublewrite|sql_log_bin|"
        r"event_triggers|debug_.*|developer_.*|allow_alter_system",
        "it takes a protection of the data away",
    ),
)
_CARE = (
    (r"search_path", "it decides which tables and functions every unqualified name means"),
    (r"sql_mode", "applications may depend on it for what is an error and how text is quoted"),
    (
        r"synchronous_commit|innodb_flush_log_at_trx_commit|sync_binlog",
        "it decides whether a commit that was confirmed survives a crash",
    ),
    (r"synchronous_standby_names", "with a standby that is not there every commit waits"),
    (r"(?:super_)?read_only|offline_mode", "it stops writers or clients of the whole server"),
    (
        r"log_statement.*|log_min_duration.*|general_log|slow_query_log",
        "statements in the log may hold secrets",
    ),
    (r".*isolation.*", "applications may depend on it for correct results"),
    (r"autovacuum.*", "what is not vacuumed grows, and the server stops before its transaction ids wrap"),
)


def risk(name: str) -> Risk:
    return Risk.LOW if name.lower() in HARMLESS else Risk.MEDIUM


def refused(name: str) -> str:
    """Why dbdeck does not set it; empty where it does."""
    return _first(_REFUSED, name)


def care(name: str) -> str:
    """What to think of before it is set; empty where nothing is known."""
    return _first(_CARE, name)


def _first(rules: tuple[tuple[str, str], ...], name: str) -> str:
    return next((why for pattern, why in rules if re.fullmatch(pattern, name.lower())), "")
