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
        r"ssl.*|tls_.*|.*_ssl_.*|.*_tls_.*|.*require_secure.*|krb_.*|gss_.*|.*_certs?|.*_key",
        "it decides who may read the connections",
    ),
    (
        r".*password.*|authentication_policy|default_authentication.*|caching_sha2.*|.*keyring.*|mandatory_roles|"
        r"role|session_authorization|row_security|createrole_self_grant|partial_revokes|.*skip_grant.*|"
        r"is_superuser|automatic_sp_privileges|check_proxy_users|.*_role|oauth_.*|pam_.*|scram_.*|"
        r"unix_socket_(?:group|permissions)|persist_only_admin.*",
        "it is about accounts and what they may do",
    ),
    (
        r".*conninfo.*|master_.*|rpl_semi_sync.*password|persist_sensitive_variables_in_plaintext",
        "it may hold a secret",
    ),
    (
        r".*_libraries|.*_library(?:_path)?|dynamic_library_path|plugin_.*|.*_command|.*_program|jit_provider|"
        r"init_connect|init_file|init_replica|init_slave|.*_file|.*_director(?:y|ies)|.*_dir|secure_.*|local_infile|"
        r"datadir|basedir|.*tmpdir|.*_file_path|(?:mysqlx_)?socket|log_error|(?:log_bin|relay_log)(?:_basename|_index)?",
        "it names files, libraries or commands that the server uses",
    ),
    (
        r"session_replication_role|allow_system_table_mods|zero_damaged_pages|ignore_.*|fsync|full_page_writes|"
        r"allow_in_place_tablespaces|foreign_key_checks|unique_checks|innodb_doublewrite|sql_log_bin|"
        r"event_triggers|debug_.*|developer_.*|allow_alter_system|data_sync_retry|innodb_force_.*|"
        r"persisted_globals_load",
        "it takes a protection of the data away",
    ),
    (
        r"lower_case_table_names|innodb_page_size",
        "it belongs to the data as they were made: with another value the server may not start",
    ),
    (r"recovery_target.*", "it decides where recovery ends, and whether the server then stays down"),
)
_CARE = (
    (r"search_path", "it decides which tables and functions every unqualified name means"),
    (r"sql_mode", "applications may depend on it for what is an error and how text is quoted"),
    (
        r"synchronous_commit|innodb_flush_log_at_trx_commit|sync_binlog",
        "it decides whether a commit that was confirmed survives a crash",
    ),
    (r"synchronous_standby_names", "with a standby that is not there every commit waits"),
    (r"(?:super_|innodb_)?read_only|offline_mode", "it stops writers or clients of the whole server"),
    (
        r"log_statement.*|log_min_duration.*|general_log|slow_query_log",
        "statements in the log may hold secrets",
    ),
    (r".*isolation.*", "applications may depend on it for correct results"),
    (
        r"listen_addresses|port|(?:admin|mysqlx)_port|(?:mysqlx_|admin_)?bind_address|admin_address|skip_networking",
        "clients, and dbdeck itself, may not reach the server there after the restart",
    ),
    (r"skip_name_resolve", "accounts whose host is a name fit nobody any more"),
    (r"wal_level|archive_mode", "standbys, backups and logical replication may depend on it"),
    (r"autovacuum.*", "what is not vacuumed grows, and the server stops before its transaction ids wrap"),
)

_CARE_OF_POSTGRES = (
    (
        r"max_connections|max_prepared_transactions|max_locks_per_transaction|max_wal_senders|max_worker_processes",
        "a standby does not start with less than its primary has: raise it there first, lower it here first",
    ),
)


def risk(name: str) -> Risk:
    return Risk.LOW if name.lower() in HARMLESS else Risk.MEDIUM


def refused(name: str) -> str:
    """Why dbdeck does not set it; empty where it does."""
    return _first(_REFUSED, name)


def care(name: str, flavor: str) -> str:
    """What to think of before it is set; empty where nothing is known."""
    return _first(_CARE + (_CARE_OF_POSTGRES if flavor == "postgresql" else ()), name)


def _first(rules: tuple[tuple[str, str], ...], name: str) -> str:
    bare = name.lower().removeprefix("toast.")
    return next((why for pattern, why in rules if re.fullmatch(pattern, bare)), "")
