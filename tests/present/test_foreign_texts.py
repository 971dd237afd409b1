"""Texts of others (a forged row, a saved plan, a journal, an approval) as words: no character of them moves a
cursor, and none of them looks like a line of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from console.audit.brackets import Bracket
from console.audit.merge import Merged
from console.audit.record import Entry, Kind, OpenIntent
from console.audit.unmerged import Unmerged
from console.cli import output
from console.dispatch.action import Plan, Risk
from console.model.target import ServerIdentity
from console.present import audit, plan, runs
from console.present.table import Column, Line
from console.runbook import events as ev
from console.tui.harmless import Harmless, printable
from tests.audit.forge import Forge

HOSTILE = st.text(
    st.sampled_from("a[/]=ü\n\r\t\x00\x07\x08\x1b\x7f\x85\x9b\u200b\u2028\u202e\u2066\ufeff\ue000\U000e0041"),
    min_size=1,
    max_size=8,
)
WRITER = UUID(int=1)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def row(text: str, kind: str = Kind.INTENT) -> Entry:
    names = ("action", "target", "operator", "reason", "status", "text", "statement", "version", "event")
    body = {**dict.fromkeys(names, text), "statements": [text], "who": {"os_user": text}, "step": text}
    made = Forge().append(WRITER, body, kind=kind)
    return msgspec.structs.replace(made, db_user=text, peer=text)


def made_plan(text: str) -> Plan:
    session = dict.fromkeys(("state", "application", "client", "query", "started_at"), text)
    server = ServerIdentity(
        flavor=text, version=text, version_num=1, system_id=text, started_at=AT, primary=True, tls=text
    )
    return Plan(
        action=text, target=text, server=server, risk=Risk.HIGH, args={}, statements=(text,),
        subject={"title": text, "session": session}, forecast=(text,), warnings=(text,), refusals=(text,),
        undo=text, made_at=AT,
    )  # fmt: skip


def bracket(text: str) -> Bracket:
    return Bracket(
        writer=WRITER, began_at=AT, until=AT, target=text, operator=text, login=text, reason=text,
        unreachable=text, merged_at=AT, logins=frozenset({text}), reviewed_by=text, review=text,
    )  # fmt: skip


def intent(text: str) -> OpenIntent:
    body: dict[str, object] = dict.fromkeys(("action", "target", "operator"), text)
    return OpenIntent(action_id=WRITER, at=AT, writer=WRITER, body=body, outcome=None, alive=False)


def events(text: str) -> Iterable[ev.Event]:
    yield ev.Remarked(by=text, text=text)
    yield ev.HandedOver(by=text, to=text, text=text)
    yield ev.Decided(step=text, question=text, by=text, decision=text, text=text)
    yield ev.Noted(step=text, text=text)


LINES: dict[str, Callable[[str], Iterable[str]]] = {
    "a row": lambda text: [audit.head(row(text)), audit.head(row("x", kind=text))],
    "cells": lambda text: [cell for kind in Kind for cell in audit.lines([row(text, kind)])[0].cells],
    "an open intent": lambda text: [audit.open_line(intent(text))],
    "a bracket": lambda text: audit.bracket(bracket(text)),
    "a journal": lambda text: [
        audit.unmerged_line(Unmerged(path=text, writer=WRITER, rows=1, alive=False)),
        audit.merged(Merged(path=text, writer=WRITER, rows=1, already=0, ended=True, link="ab"))[0],
    ],
}
BLOCKS: dict[str, Callable[[str], Iterable[str]]] = {
    "a body": lambda text: [audit.text(row(text)), audit.text(msgspec.structs.replace(row("x"), body=text))],
    "a plan": lambda text: [line for _, line in plan.describe(made_plan(text))],
    "an event": lambda text: [runs.line(event)[1] for event in events(text)],
}


@pytest.mark.parametrize("what", LINES)
@given(text=HOSTILE)
def test_a_line_of_ours_stays_one(what: str, text: str) -> None:
    for line in LINES[what](text):
        assert line.isprintable(), line


@pytest.mark.parametrize("what", BLOCKS)
@given(text=HOSTILE)
def test_a_block_has_line_ends_and_nothing_else_that_does_not_print(what: str, text: str) -> None:
    for block in BLOCKS[what](text):
        assert block.replace("\n", "").isprintable(), block


@pytest.mark.parametrize("what", ["a plan", "an event"])
def test_further_lines_of_a_name_stand_further_in(what: str) -> None:
    for block in BLOCKS[what]("x\nverified: all is well"):
        assert "\nverified" not in block


def test_a_plan_whose_session_is_none_is_described() -> None:
    odd = msgspec.structs.replace(made_plan("x"), subject={"session": "y"})
    assert plan.describe(odd)


@given(text=HOSTILE)
def test_no_way_out_of_the_command_lets_it_pass(text: str) -> None:
    found = _printed(text)
    assert found.replace("\n", "").isprintable(), found


def _printed(text: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        sink = _Sink(said)
        patch.setattr("sys.stdout", sink)
        patch.setattr("sys.stderr", sink)
        patch.setattr("sys.stdin", _Empty())
        output.line(text)
        output.note(text)
        output.prompt(text)
        output.table([Column(title="x", width=9, grow=True)], [Line(key="1", cells=(text,))])
        patch.setenv("FORCE_COLOR", "1")
        patch.setenv("NO_COLOR", "1")
        output.line(text)
        return "".join(said)


class _Sink:
    """Takes what a terminal would."""

    encoding = "utf-8"

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def write(self, text: str) -> int:
        self._said.append(text)
        return len(text)

    def flush(self) -> None:
        """There is nothing to wait for."""

    def isatty(self) -> bool:
        return False


class _Empty:
    def readline(self) -> str:
        return ""


@given(text=HOSTILE)
def test_the_last_door_of_the_console_lets_nothing_pass_and_is_as_wide(text: str) -> None:
    strange: Any = Segment(text, Style(bold=True))
    (made,) = Harmless().apply([strange], Color(0, 0, 0))
    assert made.text.isprintable()
    assert made.cell_length == strange.cell_length
    assert made.style == strange.style


def test_what_prints_is_not_touched() -> None:
    ours = [Segment("─ ü 日本"), Segment("")]
    assert Harmless().apply(ours, Color(0, 0, 0)) is ours
    assert printable("a\x1bb") == "ab"
