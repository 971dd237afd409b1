"""Who is the oldest holder, where ages are known of some only."""

from __future__ import annotations

from console.engine.mysql.innodb_status import Purge
from console.engine.mysql.purge import ordered
from console.engine.mysql.settings import hidden, of_mariadb, of_mysql
from console.model.horizon import Holder, HolderKind
from console.model.settings import AtStart

NOW = Purge(counter=1000, done=900, state="running", history=50, views={})


def holder(name: str, seconds: float, age: int | None = None) -> Holder:
    return Holder(kind=HolderKind.SNAPSHOT, name=name, seconds=seconds, age=age)


def names(*found: Holder) -> list[str]:
    return [one.name for one in ordered(found, NOW)]


def test_ages_decide_where_all_are_known() -> None:
    assert names(holder("late view", 90.0, 10), holder("snapshot", 5.0, 100)) == ["snapshot", "late view"]


def test_a_view_that_is_not_where_purge_stands_is_not_the_oldest() -> None:
    assert names(holder("late view", 90.0, 10), holder("reader", 5.0)) == ["reader", "late view"]
    assert names(holder("oldest view", 90.0, 100), holder("reader", 5.0)) == ["oldest view", "reader"]


def test_time_decides_among_readers() -> None:
    assert names(holder("young", 5.0), holder("old", 50.0)) == ["old", "young"]


def test_a_setting_of_mysql_before_9() -> None:
    row: dict[str, object] = {
        "name": "port", "value": "3306", "smallest": "0", "largest": "65535", "kind": None, "summary": "",
        "loads": 1,
    }  # fmt: skip
    found = of_mysql(row, "3307")
    assert (found.kind, found.value, found.server_value, found.restart) == ("integer", "3307", "3306", True)
    assert found.at_start == AtStart(pending=True, seen=True, next="3307")
    assert (found.notes, len(of_mysql({**row, "loads": 0}, None).notes)) == ((), 1)
    switch = of_mysql({**row, "name": "general_log", "value": "ON", "largest": "0"}, None)
    assert (switch.kind, switch.largest, switch.restart) == ("bool", None, False)


def test_what_is_persisted_and_hidden_is_not_taken_for_nothing() -> None:
    row = {
        "name": "port",
        "value": "1",
        "smallest": "0",
        "largest": "9",
        "kind": None,
        "summary": "",
        "loads": 1,
    }
    found = hidden(of_mysql(row, None), "'m'@'%'")
    assert found.at_start == AtStart(pending=False, seen=False)
    assert "GRANT SELECT ON performance_schema.* TO 'm'@'%';" in found.notes[0]


def test_a_setting_of_mariadb() -> None:
    found = of_mariadb(
        {
            "name": "SQL_MODE",
            "value": "",
            "kind": "SET",
            "smallest": None,
            "largest": None,
            "choices": "A,B",
            "summary": None,
            "read_only": "NO",
        }
    )
    assert (found.name, found.kind, found.choices, found.smallest) == ("sql_mode", "set", ("A", "B"), None)
