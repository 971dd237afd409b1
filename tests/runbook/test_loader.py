"""Documents are read strictly: every fault with its line and column, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.errors import ConfigError, UsageError
from console.runbook.document import KINDS, walk
from console.runbook.loader import Library, load_folders, parse
from tests.runbook.documents import HEAD, WHOLE, document, load


def test_every_kind_of_step_is_read() -> None:
    more = WHOLE + "  - {id: sub, kind: call, runbook: other}\n"
    assert {step.kind for step in walk(document(more).steps)} == set(KINDS)


@pytest.mark.parametrize(
    ("old", "new", "place", "says", "hint"),
    [
        ("kind: note", "kind: nte", "line 12, column 17", "no step of kind 'nte'", "note"),
        ("kind: confirm", "kind: shell", "line 21, column 14", "no step of kind 'shell'", "check"),
        ("save: storm", "sav: storm", "line 13, column 42", "no key 'sav'", "save"),
        ("timeout: 5s", "timeout: 5 sec", "line 37, column 69", "regex", ""),
        (
            "until: count == 0, timeout: 5s",
            "until: count == 0",
            "line 37, column 5",
            "lacks the key 'timeout'",
            "",
        ),
        ("on_failure: ask", "on_failure: aks", "line 34, column 9", "Invalid enum value 'aks'", "stop, ask"),
        ("owner: dba\n", "", "line 1, column 1", "lacks the key 'owner'", ""),
        (
            "kind: manual, text: tell the owner",
            "kind: manual",
            "line 38, column 5",
            "lacks the key 'text'",
            "",
        ),
        ('{postgresql: ">=13"}', "{postgresql: 3.10}", "line 6, column 11", "got `float`", ""),
        ('{postgresql: ">=13"}', '{oracle: "1"}', "line 6", "Invalid enum value 'oracle'", ""),
        ("as: one", "as: One", "line 25, column 5", "regex", ""),
        ("steps: [{id: quiet", "stepz: [{id: quiet", "line 18, column 9", "no key 'stepz'", "steps"),
        ("    in: storm\n", "", "line 22, column 5", "lacks the key 'in'", ""),
        ("reviewed: 2026-11-01", "reviewed: 2026-13-01", "line 5, column 1", "Invalid RFC3339", ""),
        (
            "id: undo, kind: action",
            "id: undo, kind: action, sql: drop",
            "line 35, column 45",
            "no key 'sql'",
            "with",
        ),
    ],
)
def test_a_fault_names_its_line_and_column(old: str, new: str, place: str, says: str, hint: str) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigError) as fault:
        load(WHOLE.replace(old, new, 1))
    assert f"f.yaml, {place}" in fault.value.message
    assert says in fault.value.message
    assert hint in fault.value.hint


def test_a_text_of_another_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="apiVersion"):
        load(WHOLE.replace("runbook/v1", "runbook/v2"))


@pytest.mark.parametrize("text", ["", "- a", "3", "steps: 3", "steps: [3]", "apiVersion: runbook/v1"])
def test_what_is_no_runbook_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        load(text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_mangled_document_gives_a_fault_with_a_place_or_a_document(data: st.DataObject) -> None:
    lines = WHOLE.splitlines()
    line = data.draw(st.integers(0, len(lines) - 1))
    changed = data.draw(st.sampled_from(["", "x: 1", "  - 3", *lines]))
    lines[line] = changed
    told = ""
    try:
        load("\n".join(lines))
    except ConfigError as error:
        told = error.message
    assert not told or "line " in told


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WHOLE)
    (tmp_path / "b.yaml").write_text("id: [")
    (tmp_path / "c.txt").write_text("no runbook")
    library = load_folders([tmp_path, tmp_path / "gone"])
    assert [one.id for one in library] == ["whole"]
    assert len(library.faults) == 2


def test_an_id_twice_is_a_fault() -> None:
    library = Library([load(WHOLE), parse(WHOLE, "g.yaml")])
    assert "that of f.yaml already" in library.faults[0].message


def test_a_name_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(UsageError) as fault:
        Library([load(WHOLE)]).get("whle")
    assert "whole" in fault.value.hint


def test_what_a_runbook_calls_comes_with_it() -> None:
    caller = HEAD.format(id="caller") + "steps: [{id: a, kind: call, runbook: whole}]"
    assert set(Library([load(WHOLE), load(caller)]).with_callees("caller")) == {"caller", "whole"}
