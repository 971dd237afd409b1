"""Which scripts run as one transaction, what their client says, and how looks at locks are put together."""

from __future__ import annotations

import pytest

from actions.migrating import compared, read_script
from actions.migration_clients import error_of, fits_one_transaction
from actions.migration_locks import Sampler, strength, strongest
from console.errors import UsageError
from console.model.inventory import Contents, TableContent
from console.model.sessions import Session, State
from console.model.table_locks import TableLock
from console.programs import Heard
from tests.fakes import ScriptedEngine


@pytest.mark.parametrize(
    "text",
    [
        "alter table t add column c int; create index on t (c);",
        "create function f() returns int language sql as $$ select 1 $$;"
        " comment on function f() is 'call commit';",
        "create function f() returns int language plpgsql as $b$ begin return 1; end $b$",
        "-- begin\n/* commit */ select 1",
        "create table \"concurrently\" (a text default 'vacuum\\')",
        "insert into t values ('a\nbegin\n')",
        "reindex table t",
        "create type mood as enum ('a'); do $$ begin perform 1; end $$",
    ],
)
def test_a_plain_script_fits_one_transaction(text: str) -> None:
    assert fits_one_transaction(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "begin; alter table t add c int; commit;",
        "select 1;\nSTART   TRANSACTION; select 2",
        "create index concurrently i on t (a)",
        "vacuum t", "select 1; VACUUM FULL t", "alter system set a = 1", "create database d", "call p()",
        "reindex (verbose) database d", "\\i other.sql", "copy t from stdin;\n1\n\\.\n", "savepoint a",
        "do $$ begin commit; end $$", "drop subscription s",
    ],
)  # fmt: skip
def test_what_ends_or_refuses_a_transaction_is_run_as_it_stands(text: str) -> None:
    assert fits_one_transaction(text) != ""


def test_the_first_error_is_told_with_its_line() -> None:
    said = 'psql:<stdin>:2: NOTICE:  skipping\npsql:<stdin>:7: ERROR:  relation "x" does not exist'
    assert error_of(Heard(3, b"", said)) == (7, 'relation "x" does not exist')
    assert error_of(Heard(-9, b"", ""))[0] is None


def held(table: str, mode: str, application: str = "migration", index: str = "") -> TableLock:
    session = Session(id=1, started_at=None, application=application, state=State.ACTIVE)
    return TableLock(session=session, table=table, mode=mode, granted=True, index=index)


def test_the_strongest_lock_of_each_table_is_told_with_its_time() -> None:
    sampler = Sampler(ScriptedEngine([]), [])
    sampler.take([held("s.t", "AccessShareLock"), held("s.u", "ShareLock")], 0.0)
    sampler.take([held("s.t", "AccessExclusiveLock"), held("s.t", "AccessShareLock")], 1.0)
    sampler.take([held("s.t", "AccessExclusiveLock"), held("s.v", "ShareLock", "dbdeck operator")], 3.0)
    found = sampler.held({"s.brief": "ShareRowExclusiveLock", "s.u": "AccessExclusiveLock"})
    assert [(one.relation, one.mode, one.seconds) for one in found] == [
        ("s.t", "AccessExclusiveLock", 2.05), ("s.u", "AccessExclusiveLock", None),
        ("s.brief", "ShareRowExclusiveLock", None),
    ]  # fmt: skip
    assert found[0].keeps == "reads and writes"
    assert sampler.looks == 3


def test_a_mode_nobody_knows_is_not_missed() -> None:
    assert strength("NewLock") > strength("AccessExclusiveLock")
    assert strongest([("t", "ShareLock"), ("t", "NewLock"), ("t", "RowShareLock")]) == {"t": "NewLock"}


def test_only_what_was_counted_and_summed_on_both_sides_is_compared() -> None:
    def table(name: str, rows: int | None, checksum: str = "1", **more: bool) -> TableContent:
        return TableContent(name=name, rows=rows, checksum=checksum, **more)  # type: ignore[arg-type]

    before = Contents(
        database="d",
        tables=(
            table("a", 1),
            table("b", 1),
            table("c", None, ""),
            table("e", 9, exact=False),
            table("g", 1),
        ),
    )
    after = Contents(
        database="d",
        tables=(table("a", 1), table("b", 1, "2"), table("c", 1), table("e", 5, exact=False)),
    )
    assert compared(before, after) == (("b",), (2, 5))


@pytest.mark.parametrize(("data", "why"), [(b"", "empty"), (b"\xff\xfe", "UTF-8"), (None, "cannot be read")])
def test_what_is_no_script_is_refused(tmp_path: object, data: bytes | None, why: str) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "up.sql"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=why):
        read_script(str(path))
