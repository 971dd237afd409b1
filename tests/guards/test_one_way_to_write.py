"""Only the dispatcher can open what changes a server, and only actions hold statements that do."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from console.engine.mysql.indexes import READS_COUNTED, USERSTAT_ON
from console.engine.mysql.progress_rows import CONSUMER_ON, INSTRUMENTS_ON
from tests.guards.sources import called, modules, names, strings

MODULES = modules()
Check = Callable[[str, ast.Module], Iterator[str]]

# Who may name it, by the beginning of the module's path.
MAY_NAME = {
    "open_operator": ("console/engine/open.py", "console/dispatch/"),
    "PostgresOperator": ("console/engine/open.py", "console/engine/postgres/operator.py"),
    "MysqlOperator": ("console/engine/open.py", "console/engine/mysql/operator.py"),
    "OPERATOR_LIMITS": (
        "console/engine/open.py",
        "console/engine/postgres/driver.py",
        "console/engine/mysql/driver.py",
        "console/engine/mysql/operator.py",
        "console/engine/postgres/operator.py",
    ),
    "reload_pooler": ("console/engine/", "console/dispatch/operator.py"),
    "rewrite_file": ("console/dispatch/files.py", "console/dispatch/operator.py"),
    "run_program": ("console/dispatch/process.py", "console/dispatch/operator.py"),
}
MAY_MAKE = {
    "Operator": ("console/dispatch/effect.py", "console/dispatch/operator.py"),
    "Statement": ("actions/",),
}

_EFFECTS = re.compile(
    r"\bkill\s+(?:query|connection|soft|hard|%|\{|\d)|pg_(?:terminate|cancel)_backend|\binsert\s+into\b|"
    r"\bdelete\s+from\b|\bupdate\s+\S+\s+set\b|\b(?:alter|drop|create|truncate)\s+(?:table|index|role|user|system)\b|"
    r"\bset\s+(?:global|persist)\b|\bxa\s+(?:rollback|commit)\b|\b(?:rollback|commit)\s+prepared\b",
    re.IGNORECASE,
)
# (module, what) -> why it may.
EXCEPTIONS = {
    ("console/engine/mysql/link.py", "kill query %s"): (
        "ends dbdeck's own read, which goes on in the server when its reader gave up"
    ),
    ("console/engine/mysql/operator.py", ".execute(statement.sql)"): "runs what an Operator hands it",
    ("console/engine/postgres/operator.py", ".execute(statement.sql)"): "runs what an Operator hands it",
    ("console/engine/postgres/pooler.py", ".execute('select 1')"): "a probe that reads nothing",
    ("console/engine/postgres/pooler.py", ".execute('RELOAD')"): "what an Operator has recorded",
    ("console/engine/postgres/operator.py", "select pg_cancel_backend($1)"): (
        "ends the statement an Operator's own connection runs, which is recorded"
    ),
    ("console/engine/postgres/operator.py", "hint"): "the GRANT that is missing, for people to run",
    ("console/engine/postgres/rights.py", "GRANT ALTER SYSTEM ON PARAMETER "): (
        "the GRANT that is missing, for people to run"
    ),
    ("console/engine/postgres/transactions.py", "ROLLBACK PREPARED "): (
        "a statement for people to run, never sent"
    ),
    ("console/engine/postgres/remedies.py", "ALTER ROLE "): "a statement for people to run, never sent",
    ("console/engine/postgres/remedies.py", "ALTER TABLE "): "a statement for people to run, never sent",
    ("console/engine/postgres/remedies.py", "ALTER INDEX "): "a statement for people to run, never sent",
    ("console/engine/postgres/remedies.py", "DROP INDEX "): "a statement for people to run, never sent",
    ("console/engine/postgres/progress_rows.py", "CREATE INDEX"): "the server's name of a command",
    (
        "console/engine/postgres/progress_rows.py",
        "CREATE INDEX CONCURRENTLY",
    ): "the server's name of a command",
    ("console/engine/mysql/account_rows.py", "CREATE USER"): "the name of a privilege",
    ("console/engine/mysql/deadlock_notes.py", "hint"): "an advice for people to run, never sent",
    ("console/engine/mysql/xa.py", "XA ROLLBACK "): "a statement for people to run, never sent",
    ("console/engine/mysql/checks.py", "hint"): "an advice for people to run, never sent",
    ("console/engine/mysql/table_locks.py", "hint"): "an advice for people to run, never sent",
    ("console/engine/mysql/index_findings.py", "ALTER TABLE"): "a statement for people to run, never sent",
    ("console/engine/mysql/indexes.py", READS_COUNTED): "an advice for people to run, never sent",
    ("console/engine/mysql/indexes.py", USERSTAT_ON): "an advice for people to run, never sent",
    ("console/engine/mysql/progress_rows.py", CONSUMER_ON): "an advice for people to run, never sent",
    ("console/engine/mysql/progress_rows.py", INSTRUMENTS_ON): "an advice for people to run, never sent",
}


def naming(module: str, tree: ast.Module) -> Iterator[str]:
    """Names of the doors to an operator's connection, used where they may not be."""
    used = set(names(tree))
    for name, places in MAY_NAME.items():
        if name in used and not module.startswith(places):
            yield name


def making(module: str, tree: ast.Module) -> Iterator[str]:
    """Operators and statements made where they may not be."""
    for node in ast.walk(tree):
        name = called(node)
        if name in MAY_MAKE and not module.startswith(MAY_MAKE[name]):
            yield f"{name}("


def executing(module: str, tree: ast.Module) -> Iterator[str]:
    """`.execute(` below console/engine: reads are fetched by name from .sql files."""
    if module.startswith("console/engine/"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in ("execute", "executemany", "executescript"):
                first = ast.unparse(node.args[0]) if node.args else ""
                yield f".{called(node)}({first})"


def effects(module: str, tree: ast.Module) -> Iterator[str]:
    """Text of statements that change a server, outside of actions."""
    if module.startswith("console/engine/"):
        hints = _hints(tree)
        for line, text in strings(tree):
            if _EFFECTS.search(text):
                yield "hint" if line in hints else text


def _hints(tree: ast.Module) -> set[int]:
    """Lines of what is passed as `hint=`."""
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "hint"]
    return {line for value in values for line in range(value.lineno, (value.end_lineno or value.lineno) + 1)}


CHECKS: tuple[Check, ...] = (naming, making, executing, effects)


def faults(module: str, source: str) -> list[tuple[str, str]]:
    tree = ast.parse(source)
    return [(module, what) for check in CHECKS for what in check(module, tree)]


def test_there_is_one_way_to_write() -> None:
    found = [fault for module, source in MODULES.items() for fault in faults(module, source)]
    assert [fault for fault in found if fault not in EXCEPTIONS] == []


def test_each_exception_is_still_needed() -> None:
    found = {fault for module, source in MODULES.items() for fault in faults(module, source)}
    assert set(EXCEPTIONS) - found == set()


def test_each_place_is_still_there() -> None:
    places = [place for kind in (MAY_NAME, MAY_MAKE) for found in kind.values() for place in found]
    assert [place for place in places if not any(module.startswith(place) for module in MODULES)] == []


def test_an_action_opens_nothing() -> None:
    """What an action needs is handed to it."""
    opened = {
        (module, name)
        for module, source in MODULES.items()
        if module.startswith("actions/")
        for name in names(ast.parse(source))
        if name in ("open_engine", "open_ledger", "connect", "connect_mysql")
    }
    assert opened == set()


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("console/tui/app.py", "from console.engine.open import open_operator"),
        ("console/cli/act.py", "from console.engine import open as o\no.open_operator(target)"),
        ("actions/sessions.py", "getattr(module, 'open_operator')"),
        ("console/tui/desk.py", "Operator(connection, ledger, action)"),
        ("actions/sessions.py", "import x\nx.Operator(connection, ledger, action)"),
        ("console/engine/postgres/engine.py", "Statement(sql='select 1', shown='')"),
        ("console/dispatch/reconcile.py", "Statement(sql='select 1', shown='')"),
        ("console/cli/doctor.py", "PostgresOperator(target, connection, identity)"),
        ("console/engine/mysql/engine.py", "await cursor.execute('select 1')"),
        ("console/engine/mysql/engine.py", "await connection.fetch('KILL %s', (7,))"),
        ("console/engine/mysql/engine.py", "await connection.fetch(f'kill connection {number}')"),
        ("console/engine/postgres/engine.py", "await c.fetch('select pg_terminate_backend($1)', 7)"),
        ("actions/hook_files.py", "await files.rewrite_file(path, change)"),
        ("actions/hook_exec.py", "process.run_program(argv, stdin=None, seconds=1)"),
        ("actions/hook_pooler.py", "from console.engine.pooler import reload_pooler"),
        ("console/engine/postgres/names.py", "await c.fetch('insert into t values (1)')"),
    ],
)
def test_this_guard_sees_a_planted_fault(module: str, planted: str) -> None:
    assert faults(module, planted) != []


def test_this_guard_lets_prose_be() -> None:
    assert faults("console/engine/mysql/rows.py", '"""Sessions that KILL 7 would end."""') == []
