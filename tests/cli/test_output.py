"""What `show` prints for programs, without a server."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.cli import output, show
from console.cli.subjects import SUBJECTS, Beside
from console.model.tables import Table
from console.present import audit
from tests.fakes import MemoryStore, ScriptedEngine, storm


def printed(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize("subject", list(SUBJECTS))
async def test_a_csv_without_rows_has_its_header(subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    look = show.Look(ScriptedEngine([]), Beside(store=MemoryStore()))
    assert await show._once(look, subject, SUBJECTS[subject], "csv") == 0
    (header,) = printed(capsys)
    assert header == list(SUBJECTS[subject].fields)


@pytest.mark.parametrize("subject", ["locks", "sessions", "transactions"])
async def test_the_header_is_that_of_the_rows(subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    found: Any = ScriptedEngine(storm(2))
    await show._once(show.Look(found), subject, SUBJECTS[subject], "csv")
    header, *rows = printed(capsys)
    assert header == list(SUBJECTS[subject].fields)
    assert rows
    assert all(len(row) == len(header) for row in rows)


def test_a_time_is_text_and_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.csv_rows(("at", "none"), [{"at": datetime(2026, 11, 21, tzinfo=UTC), "none": None}])
    assert printed(capsys) == [["at", "none"], ["2026-11-21T00:00:00+00:00", ""]]


def test_the_ledgers_csv_without_rows_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.csv_rows(audit.FIELDS, audit.document([]))
    assert printed(capsys) == [list(audit.FIELDS)]


@pytest.mark.parametrize(
    ("xid_age", "header"),
    [
        (5, "size dead bloat vacuum xid age table why"),
        (None, "size analyze rows indexes free table why"),
    ],
)
async def test_tables_at_80_columns_have_what_matters_and_what_the_engine_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], xid_age: int | None, header: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    engine = ScriptedEngine([])
    engine.shop = [Table(schema="public", name="orders" * 9, bytes=8192, xid_age=xid_age, why="w" * 200)]
    assert await show._once(show.Look(engine), "tables", SUBJECTS["tables"], "text") == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == header
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(("words", "variable", "config"), [
    (["--ascii"], "", ""), ([], "1", ""), ([], "", "ui: {ascii: true}\n"),
])  # fmt: skip
def test_ascii_is_asked_for_by_flag_variable_and_config(
    words: list[str], variable: str, config: str, tmp_path: Path
) -> None:
    place = tmp_path / "config.yaml"
    place.write_text(
        f"{config}targets:\n  {'a' * 60}: {{engine: mysql, host: {'b' * 90}, monitor: {{user: m}}}}\n"
    )
    environ = {**os.environ, "DBDECK_ASCII": variable, "LC_ALL": "C.UTF-8", "COLUMNS": "60"}
    command = [sys.executable, "-m", "console", *words, "-c", str(place), "targets"]
    plain = subprocess.run(command, env=environ, capture_output=True, check=True).stdout
    assert plain
    assert plain.isascii()
    if not config and words:
        usual = [one for one in command if one != "--ascii"]
        assert not subprocess.run(usual, env=environ, capture_output=True, check=True).stdout.isascii()


@given(text=st.text())
def test_a_document_is_one_line_and_says_the_same(text: str) -> None:
    """Also with characters above U+FFFF that this Python does not know to print, such as a new emoji."""
    found = output.encoded({"query": text})
    assert found.isprintable()
    assert json.loads(found) == {"query": text}


@pytest.mark.parametrize("text", ["\U0001fae8", "\U000e0041", "\x7f", "\x85", "\u2028", "\U0010ffff"])
def test_what_does_not_print_is_escaped_as_json_has_it(text: str) -> None:
    assert json.loads(output.encoded([text])) == [text]


def test_a_note_moves_no_cursor_and_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Names of tables stand in warnings, and errors of servers in notes; line ends are the note's own."""
    output.note("warning: x.\x1b]0;title\x07\x1b[31m\u202ered\n  hint: y")
    assert capsys.readouterr().err == "warning: x.␛]0;title␇␛[31m�red\n  hint: y\n"
