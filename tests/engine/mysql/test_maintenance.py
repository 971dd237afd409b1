"""Tables, numbers, progress, load and disks of MySQL and MariaDB, where no server is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from console.engine.mysql import load, numbers, progress_rows, table_rows
from console.engine.mysql.disk import folder_of, on_mount
from console.engine.mysql.engine import MysqlEngine
from console.engine.mysql.locks import Clock
from console.engine.mysql.look import Seen
from console.engine.mysql.rows import Transaction
from console.engine.port import MaintenanceReads
from console.model.horizon import Holder, HolderKind, Horizon
from console.model.sessions import Session, State
from console.model.tables import Exhaustion, TableOrder, TableQuery
from console.model.target import ServerIdentity, Target

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_engine_has_every_read_of_maintenance() -> None:
    target = msgspec.convert({"name": "shop", "engine": "mysql", "monitor": {"user": "mon"}}, Target)
    reads: MaintenanceReads = MysqlEngine(target)
    assert callable(reads.tables)


# ---- tables ----------------------------------------------------------------------------------------


def chosen(**over: Any) -> dict[str, Any]:
    base = {"table_schema": "s", "table_name": "t", "kind": "BASE TABLE", "engine": "InnoDB", "created": None,
            "file_bytes": 1 << 30, "partitions": None, "space": 7}  # fmt: skip
    return base | over


def figures(**over: Any) -> dict[str, Any]:
    base = {"engine": "InnoDB", "created": 5, "create_options": "", "row_count": 10, "data_bytes": 16384,
            "index_bytes": 0, "free_bytes": 0, "remark": ""}  # fmt: skip
    return base | over


def about(pair: tuple[str, str] = ("s", "t"), **over: Any) -> table_rows.About:
    known = {"figures": {pair: figures()}, "statistics": {pair: {"row_count": 10, "updated": 5}}}
    return table_rows.About(**(known | over))


@pytest.mark.parametrize(
    ("pattern", "sql"),
    [("a*", "a%"), ("a?b", "a_b"), ("100%", "100|%"), ("a_b", "a|_b"), ("a|b", "a||b"), ("", "")],
)
def test_a_shell_pattern_as_like(pattern: str, sql: str) -> None:
    assert table_rows.like(pattern) == sql


def test_a_pattern_with_a_dot_is_on_schema_and_name() -> None:
    _, _, _, *patterns, everything, names = table_rows.conditions(TableQuery(pattern="shop.o*"))
    assert patterns == ["", "", "shop.o%", "shop.o%"]
    assert everything is True
    assert names == numbers.NO_TABLE


def test_mariadb_cannot_order_by_age_and_says_so() -> None:
    assert "longest ago" in table_rows.order(TableOrder.AGE, "mysql")
    assert table_rows.order(TableOrder.AGE, "mariadb") == "size of the files"
    assert "does not count dead rows" in table_rows.order(TableOrder.DEAD, "mysql")


def test_a_table_nobody_can_open_has_no_figures_and_a_reason() -> None:
    locked = table_rows.table(chosen(), about(figures={}, locked=frozenset({("s", "t")})))
    assert (locked.rows, locked.free_bytes, locked.bytes) == (None, None, 1 << 30)
    assert "exclusive lock" in locked.why
    damaged = {("s", "t"): figures(engine=None, remark="Incorrect information in file")}
    assert "Incorrect information" in table_rows.table(chosen(), about(figures=damaged)).why
    assert "could not be read" in table_rows.table(chosen(), about(figures={})).why


@pytest.mark.parametrize(
    ("now", "then", "stale"),
    [(1000, 0, False), (1001, 0, True), (10_000, 8_500, False), (10_000, 8_000, True), (0, 5000, True)],
)
def test_statistics_are_stale_after_a_fifth_of_the_rows(now: int, then: int, stale: bool) -> None:
    assert table_rows.is_stale(figures(row_count=now), {"row_count": then}) is stale


def test_statistics_that_may_not_be_read_are_not_said_to_be_missing() -> None:
    assert table_rows.table(chosen(), about(statistics=None)).why == ""
    assert "never collected" in table_rows.table(chosen(), about(statistics={})).why


def test_the_weightiest_reason_wins() -> None:
    full = Exhaustion(column="id", sequence="AUTO_INCREMENT", last=250, limit=255)
    free = {("s", "t"): figures(free_bytes=1 << 29, data_bytes=1 << 29)}
    assert "table.optimize table=s.t" in table_rows.table(chosen(), about(figures=free)).why
    made = table_rows.table(chosen(), about(figures=free, numbers={("s", "t"): full}))
    assert "after 5 more rows INSERT fails" in made.why


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (
            Exhaustion(column="id", sequence="AUTO_INCREMENT", last=254, limit=255),
            "AUTO_INCREMENT of column id is at 254 of 255: after 1 more row INSERT fails",
        ),
        (
            Exhaustion(column="id", sequence="AUTO_INCREMENT", last=255, limit=255),
            "AUTO_INCREMENT of column id is at 255 of 255: the next INSERT fails, or the one after it",
        ),
        (
            Exhaustion(column="", sequence="s.q", last=100, limit=100),
            "sequence s.q is at 100 of 100, numbers that lie in a cache included: it ends soon",
        ),
    ],
)
def test_how_numbers_end(used: Exhaustion, said: str) -> None:
    assert table_rows.table(chosen(), about(numbers={("s", "t"): used})).why == said


def test_why_purge_is_behind() -> None:
    holder = Holder(kind=HolderKind.SNAPSHOT, name="session 7", seconds=3600.0, scope="everything")
    assert table_rows.backlog(Horizon(history_length=5, holders=(holder,))) == ""
    assert table_rows.backlog(Horizon(holders=(holder,))) == ""
    said = table_rows.backlog(Horizon(history_length=200_000, holders=(holder,)))
    assert "200000 undo logs behind" in said
    assert "session 7" in said
    assert "nobody holds it back" in table_rows.backlog(Horizon(history_length=200_000))


# ---- numbers ---------------------------------------------------------------------------------------


def numbered(**over: Any) -> dict[str, Any]:
    base = {"table_schema": "s", "table_name": "t", "column_name": "id", "source": None, "largest": 255,
            "next_number": 11}  # fmt: skip
    return base | over


@pytest.mark.parametrize(("following", "last"), [(1, 0), (0, 0), (11, 10), (255, 255), (256, 255)])
def test_the_last_number_given_out(following: int, last: int) -> None:
    found = numbers.found_in([numbered(next_number=following)], {})
    assert found["s", "t"].last == last


def test_a_number_nobody_knows_is_left_out() -> None:
    assert numbers.found_in([numbered(next_number=None), numbered(largest=None)], {}) == {}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("SEQUENCE", ("s", "t")),
        ("nextval(`a`.`b`)", ("a", "b")),
        ("nextval(`a``x`.`b`)", ("a`x", "b")),
        ("nextval(`a.b`.`c``)`)", ("a.b", "c`)")),
        ("lastval(`a`.`b`)", None),
        (None, None),
    ],
)
def test_the_sequence_of_a_column(source: str | None, name: tuple[str, str] | None) -> None:
    assert numbers.sequence_of(numbered(source=source)) == name


def test_the_smaller_of_two_limits() -> None:
    row = {"next_not_cached_value": 101, "maximum_value": 1000, "increment": 1, "cycle_option": 0}
    source = "nextval(`a`.`b`)"
    narrow = numbers.found_in([numbered(source=source, largest=127)], {("a", "b"): row})["s", "t"]
    assert (narrow.last, narrow.limit) == (100, 127)
    wide = numbers.found_in([numbered(source=source, largest=65535)], {("a", "b"): row})["s", "t"]
    assert (wide.last, wide.limit) == (100, 1000)
    for endless in ({"cycle_option": 1}, {"increment": -1}):
        assert numbers.found_in([numbered(source=source)], {("a", "b"): row | endless}) == {}
    assert numbers.found_in([numbered(source=source)], {("a", "b"): None}) == {}


# ---- progress --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ALTER TABLE t ADD x INT", ("ALTER TABLE", "db.t")),
        ("alter  online ignore table `a``b` . `c d` force", ("ALTER TABLE", "a`b.c d")),
        ("/* why */ OPTIMIZE NO_WRITE_TO_BINLOG TABLE x.y, z", ("OPTIMIZE TABLE", "x.y")),
        ("create unique index i on t (a)", ("CREATE INDEX", "db.t")),
        ("create index `on` using btree on `t` (a)", ("CREATE INDEX", "db.t")),
        ("drop index i on x.t", ("DROP INDEX", "x.t")),
        ("LOAD DATA LOCAL INFILE '/x into' INTO TABLE t", ("LOAD DATA", "db.t")),
        ("check table t quick", ("CHECK TABLE", "db.t")),
        ("truncate t", ("TRUNCATE TABLE", "db.t")),
        ("rename table a to b", ("RENAME TABLE", "db.a")),
        ("select 'alter table t'", None),
        ("update t set a = 1", None),
        (None, None),
    ],
)
def test_what_a_statement_does_to_which_table(query: str | None, found: tuple[str, str] | None) -> None:
    assert progress_rows.command_of(query, "db") == found


def test_stages() -> None:
    row = {"session_id": 7, "event": "stage/innodb/alter table (merge sort)", "done": 3, "total": 9}
    report = progress_rows.of_stage(row)
    assert (report.session, report.phase, report.done, report.total, report.unit) == (
        7,
        "merge sort",
        3,
        9,
        "pages",
    )
    copying = progress_rows.of_stage(row | {"event": "stage/sql/copy to tmp table", "session_id": None})
    assert (copying.session, copying.phase, copying.unit) == (0, "copy to tmp table", "rows")


def thread(**over: Any) -> dict[str, Any]:
    base = {"session_id": 7, "state": "copy to tmp table", "stage": 1, "stages": 2, "percent": 49.34,
            "in_place": 0, "percent_in_place": 12.5}  # fmt: skip
    return base | over


def test_percentages_of_mariadb() -> None:
    (copying,) = progress_rows.of_threads([thread()])
    assert (copying.done, copying.total) == (49340, 100_000)
    assert copying.phase == "copy to tmp table (stage 1 of 2)"
    in_place = thread(session_id=8, in_place=1, stage=0, stages=0, state="altering table")
    copying, online = progress_rows.of_threads([thread(), in_place])
    assert (online.session, online.done, online.phase) == (8, 12500, "altering table")


def test_one_percentage_for_two_belongs_to_neither() -> None:
    rows = [thread(session_id=number, in_place=1, stages=0) for number in (8, 9)]
    assert progress_rows.of_threads(rows) == []
    assert "none is shown" in progress_rows.ambiguous(rows)[0]
    assert progress_rows.ambiguous(rows[:1]) == ()


def rolling(rows_modified: int, *, back: bool = True) -> Transaction:
    return Transaction(
        id=9,
        session=7,
        waiting=False,
        started=0.0,
        seconds=1.0,
        rows_modified=rows_modified,
        rolling_back=back,
    )


def test_a_rollback_is_measured_from_the_most_there_was_to_undo() -> None:
    undo = progress_rows.to_undo([rolling(100)], {})
    undo = progress_rows.to_undo([rolling(40)], undo)
    assert undo == {7: 100}
    (work,) = progress_rows.work(seen(transactions=(rolling(40),)), (), undo)
    assert (work.command, work.done, work.total, work.session) == ("ROLLBACK", 60, 100, 7)
    assert progress_rows.to_undo([rolling(0, back=False)], undo) == {}


def seen(**over: Any) -> Seen:
    identity = ServerIdentity(flavor="mysql", version="9", version_num=90700, system_id="x", started_at=START,
                              primary=True, tls="")  # fmt: skip
    base: dict[str, Any] = {"identity": identity, "sessions": (), "transactions": ()}
    return Seen(clock=Clock(now=0.0, statements={}), **(base | over))


def session(number: int, query: str | None, state: State = State.ACTIVE) -> Session:
    return Session(
        id=number, started_at=START, state=state, query=query, database="db", wait="altering table"
    )


def test_long_statements_are_told_whether_they_report_or_not() -> None:
    report = progress_rows.Report(session=2, phase="rows", done=1, total=4, unit="rows")
    sessions = (
        session(1, "alter table t add x int"),
        session(2, "insert into x select * from y"),
        session(3, "select 1"),
        session(4, "alter table t force", State.IDLE),
    )
    found = progress_rows.work(seen(sessions=sessions), [report], {})
    assert [(one.session, one.command, one.object, one.fraction) for one in found] == [
        (1, "ALTER TABLE", "db.t", None),
        (2, "INSERT", "", 0.25),
    ]
    assert found[0].phase == "altering table"


def test_a_blocker_that_cannot_be_seen_has_no_number() -> None:
    (work,) = progress_rows.work(seen(sessions=(session(1, "alter table t force"),)), (), {})
    (waits,) = progress_rows.waiting([work], {1: (5, -3)})
    assert waits.waits_for == (5,)
    assert "cannot be seen" in waits.details["waits for"]


# ---- load and disks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([{"Seconds_Behind_Source": 5, "Channel_Name": ""}], (5.0, "")),
        ([{"Seconds_Behind_Master": 0, "Connection_name": "a"}], (0.0, "a")),
        (
            [
                {"Seconds_Behind_Source": 5, "Channel_Name": "a"},
                {"Seconds_Behind_Source": 9, "Channel_Name": "b"},
            ],
            (9.0, "b"),
        ),
    ],
)
def test_how_far_a_replica_is_behind(rows: list[dict[str, Any]], found: tuple[float, str]) -> None:
    assert load.halt(rows) is None
    assert load.behind(rows) == found


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"Channel_Name": "b"}, "replication does not run on b"),
        ({"Replica_IO_Running": "Yes", "Replica_SQL_Running": "No"}, ": the applier is stopped"),
        (
            {"Slave_IO_Running": "Connecting", "Slave_SQL_Running": "Yes", "Last_IO_Errno": 2003},
            ": the receiver does not reach its source (error 2003)",
        ),
        (
            {"Slave_IO_Running": "No", "Slave_SQL_Running": "No", "Last_SQL_Errno": 1062},
            ": the receiver is stopped, the applier is stopped (error 1062)",
        ),
    ],
)
def test_a_channel_that_does_not_run_says_which_half(row: dict[str, Any], said: str) -> None:
    halves = {"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes"} if "Channel_Name" in row else {}
    runs = {"Seconds_Behind_Source": 5, "Channel_Name": "a"}
    stopped = {"Seconds_Behind_Source": None, **halves, **row}
    assert load.halt([runs, stopped]) is stopped
    assert load.halted_words(stopped).endswith(said)


@pytest.mark.parametrize(
    ("file", "folder"),
    [("./db/t.ibd", "/data/db"), ("/far/db/t.ibd", "/far/db"), (None, "/data"), ("ibdata1", "/data")],
)
def test_where_the_files_of_a_table_lie(file: str | None, folder: str) -> None:
    assert folder_of("/data/", file) == folder


def test_the_mount_a_folder_lies_on() -> None:
    rows = [{"path": path, "free": free} for path, free in (("/", 1), ("/data", 2), ("/data2", 3))]
    assert on_mount("/data/db", rows) == rows[1]
    assert on_mount("/dat", rows) == rows[0]
    assert on_mount("/x", []) is None
