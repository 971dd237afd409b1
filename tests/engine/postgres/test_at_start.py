"""What is known of settings that are read at the start of the server, without one."""

from __future__ import annotations

from typing import Any

import pytest

from console.engine.postgres import at_start
from console.model.settings import AtStart, Setting

ONE = Setting(name="max_connections", value=None, server_value="100", restart=True)
AUTO, CONF = "/data/postgresql.auto.conf", "/data/postgresql.conf"


def a_row(**over: Any) -> Any:
    return {
        "pending": True, "reset_val": "100", "boot_val": "50", "source": "configuration file",
        "sourcefile": CONF,
    } | over  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "value", "following"),
    [
        ([], None, "50"),
        ([(CONF, "100")], None, "100"),
        ([(CONF, "100"), (AUTO, "200")], "200", "200"),
        ([(AUTO, "200"), (AUTO, "300")], "300", "300"),
    ],
)
def test_the_last_line_counts_and_the_entry_is_that_of_alter_system(
    lines: list[tuple[str, str]], value: str | None, following: str
) -> None:
    rows: Any = [{"file": file, "value": text} for file, text in lines]
    found = at_start.written(ONE, a_row(), rows)
    assert found.value == value
    assert found.at_start == AtStart(pending=True, seen=True, next=following, source="file")


def test_without_the_files_the_grant_is_a_note() -> None:
    found = at_start.unseen(ONE, a_row(pending=False), sees_all=True, user="mon")
    assert found.at_start == AtStart(pending=False, seen=False, next="100", source="file")
    assert 'GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO "mon";' in found.notes[0]
    waiting = at_start.unseen(ONE, a_row(), sees_all=True, user="mon").at_start
    assert waiting is not None
    assert waiting.next is None


@pytest.mark.parametrize(
    ("over", "sees_all", "source"),
    [
        ({"sourcefile": AUTO}, True, "entry"),
        ({}, True, "file"),
        ({"sourcefile": None}, False, ""),
        ({"source": "default", "sourcefile": None}, True, "default"),
        ({"source": "command line"}, True, ""),
    ],
)
def test_where_the_running_value_came_from(over: dict[str, Any], sees_all: bool, source: str) -> None:
    assert at_start._source(a_row(**over), sees_all=sees_all) == source
