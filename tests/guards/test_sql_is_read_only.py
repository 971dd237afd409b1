"""Every .sql file below console/engine only reads, says what it costs, and is gated by known versions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from console.engine.queries import select_lines
from tests.guards.sources import ROOT, files

FLAVORS = {"postgres": ("postgresql",), "mysql": ("mysql", "mariadb")}
SUPPORTED = {
    "postgresql": (130000, 140000, 150000, 160000, 170000, 180006, 190000),
    "mysql": (80000, 80014, 80022, 80400, 90400, 260700),
    "mariadb": (100600, 101119, 110400, 120000),
}
HEADER = ("-- Purpose: ", "-- Privilege: ", "-- Cost: ")
READS = ("select", "with", "show", "values", "xa recover")

_WORDS = (
    "insert|update|delete|merge|replace|create|alter|drop|truncate|rename|grant|revoke|set|reset|kill|call|do|"
    "copy|into|vacuum|analyze|analyse|optimize|repair|reindex|cluster|refresh|lock|unlock|flush|purge|change|"
    "start|stop|begin|commit|rollback|prepare|execute|listen|notify|load|install|uninstall|share"
)
_CALLS = (
    r"pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile|pg_promote|pg_switch_wal|"
    r"pg_(?:try_)?advisory_\w+|pg_stat_reset\w*|pg_stat_statements_reset|pg_notify|pg_sleep\w*|"
    r"pg_(?:create|drop|copy)_\w+|pg_replication_\w+|pg_wal_replay_\w+|pg_backup_\w+|pg_read_\w*file|"
    r"pg_log_backend_memory_contexts|set_config|nextval|setval|lo_\w+|dblink\w*|query_to_xml|"
    r"get_lock|release_lock|release_all_locks|sleep|benchmark|load_file|master_pos_wait|"
    r"wait_for_executed_gtid_set"
)
# They take a lock on what they measure or resolve: behind somebody's ALTER TABLE the poll would hang.
_SIZES = (
    r"pg_relation_size|pg_table_size|pg_total_relation_size|pg_indexes_size|pg_database_size|"
    r"pg_tablespace_size|to_regclass"
)
_FORBIDDEN = re.compile(rf"\b(?:(?:{_WORDS})\b(?!\s*\()|(?:{_CALLS}|{_SIZES})\s*\()", re.IGNORECASE)
_CASTS = re.compile(r"::\s*reg\w+", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_GATE = re.compile(r"--:(.*)$", re.MULTILINE)

# What stays of a session is a lock of dbdeck's own, which keeps two runs from one subject.
EXCEPTIONS = {
    ("postgres/sql/log_chunk.sql", "pg_read_binary_file"): "reads the server's own log, in pieces",
    ("postgres/sql/hold.sql", "pg_try_advisory_lock"): "takes the lock of one run, without waiting",
    ("postgres/sql/let_go.sql", "pg_advisory_unlock"): "gives the lock of one run back",
    ("postgres/sql/limits.sql", "set_config"): "sets limits of the operator's own session",
    ("mysql/sql/own_account.sql", "create"): "SHOW CREATE USER makes nobody",
    ("mysql/sql/hold.sql", "get_lock"): "takes the lock of one run, without waiting",
    ("mysql/sql/let_go.sql", "release_lock"): "gives the lock of one run back",
}
ENGINE = ROOT / "console" / "engine"
QUERIES = {path.relative_to(ENGINE).as_posix(): path.read_text() for path in files("console/engine", ".sql")}


def header_faults(text: str) -> Iterator[str]:
    """The three lines that tell a reader whether he may run it on a server in trouble."""
    comments = [line for line in text.splitlines() if line.startswith("--")]
    found = [line for line in comments if line.startswith(HEADER)]
    if [line.startswith(start) for line, start in zip(found, HEADER, strict=False)] != [True] * len(HEADER):
        yield "the header is not Purpose, Privilege, Cost"
    if text.splitlines()[: len(comments)] != comments:
        yield "a comment stands below the statement's first line"


def gate_faults(text: str, flavors: tuple[str, ...]) -> Iterator[str]:
    for gates in _GATE.findall(text):
        for condition in gates.split(","):
            try:
                kept = [
                    select_lines(f"x --: {condition.strip()}", flavor, version)
                    for flavor in flavors
                    for version in (0, 10**9)
                ]
            except ValueError as error:
                yield str(error)
            else:
                if not any(kept):
                    yield f"the gate {condition.strip()!r} fits no flavour of this engine"


def forbidden(sql: str) -> set[str]:
    """What a read has no business with; comments are gone, string literals are looked past."""
    bare = _LITERAL.sub("''", sql)
    found = {match.rstrip("( \t\n").lower() for match in _FORBIDDEN.findall(bare)}
    return found | {cast.lower() for cast in _CASTS.findall(bare)}


def statement_faults(sql: str) -> Iterator[str]:
    bare = _LITERAL.sub("''", sql).strip()
    if not bare.lower().startswith(READS):
        yield f"it starts with {bare.split(maxsplit=1)[0]!r}" if bare else "it is empty"
    if ";" in bare:
        yield "it is more than one statement"
    if bare.count("(") != bare.count(")"):
        yield "its parentheses do not match"


def variants(text: str, flavors: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(server, statement) of each version for which the lines differ."""
    seen: set[str] = set()
    for flavor in flavors:
        for version in SUPPORTED[flavor]:
            sql = select_lines(text, flavor, version)
            if sql not in seen:
                seen.add(sql)
                yield f"{flavor} {version}", sql


def faults(name: str, text: str) -> list[str]:
    flavors = FLAVORS[name.partition("/")[0]]
    found = [*header_faults(text), *gate_faults(text, flavors)]
    if found:
        return found
    for server, sql in variants(text, flavors):
        allowed = {word for path, word in EXCEPTIONS if path == name}
        wrong = [*statement_faults(sql), *sorted(forbidden(sql) - allowed)]
        found += [f"{server}: {fault}" for fault in wrong]
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_it_only_reads(name: str) -> None:
    assert faults(name, QUERIES[name]) == []


def test_both_engines_are_looked_at() -> None:
    assert {name.partition("/")[0] for name in QUERIES} == set(FLAVORS)


@pytest.mark.parametrize(("name", "word"), EXCEPTIONS)
def test_each_exception_is_still_needed(name: str, word: str) -> None:
    assert word in forbidden(select_lines(QUERIES[name], FLAVORS[name.partition("/")[0]][0], 130000))


_HEAD = "-- Purpose: p\n-- Privilege: none\n-- Cost: none\n"


@pytest.mark.parametrize(
    "planted",
    [
        "select pg_terminate_backend(pid) from pg_stat_get_activity(null)",
        "select PG_CANCEL_BACKEND (1)",
        "with gone as (delete from t returning *) select * from gone",
        "select * from t for update",
        "select * from t for share",
        "select * from t into outfile '/tmp/x'",
        "update performance_schema.setup_instruments set enabled = 'YES'",
        "set global max_connections = 1",
        "select set_config('a', 'b', false)",
        "kill 7",
        "select 1; drop table t",
        "select pg_total_relation_size(c.oid) from pg_class c",
        "select 't'::regclass",
        "select pg_advisory_lock(1)",
        "select sleep(10)",
        "select 1  --: postgresql>=",
        "select 1  --: postgres>=140000",
        "select 1\n  --: postgresql, mariadb",
        "select (1  --: postgresql>=140000\nselect 1  --: postgresql<140000",
    ],
)
def test_this_guard_sees_a_planted_fault(planted: str) -> None:
    assert faults("postgres/sql/planted.sql", _HEAD + planted) != []


@pytest.mark.parametrize("header", ["", "-- Purpose: p\n-- Cost: none\n", _HEAD.replace("Cost", "Price")])
def test_this_guard_sees_a_missing_header(header: str) -> None:
    assert faults("postgres/sql/planted.sql", f"{header}select 1") != []


@pytest.mark.parametrize(
    "harmless",
    [
        "select 'drop table t' as text",
        "select l.lock_type, t.offset_set, x.call_count from l",
        "select replace(a, b)",
    ],
)
def test_this_guard_lets_harmless_words_be(harmless: str) -> None:
    assert faults("mysql/sql/planted.sql", _HEAD + harmless) == []
