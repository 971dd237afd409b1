"""The post-mortem of a run: what its rows tell, all of it, and nothing that a server says becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from console.audit import chain
from console.audit.record import Entry, Kind, canonical_json
from console.present.page import mark
from console.present.post_mortem import post_mortem
from console.present.post_mortem_page import document, html, markdown
from console.present.post_mortem_parts import Report
from console.runbook import events as ev
from console.runbook.history import Apart, Recalled, Recorded
from console.runbook.state import Run, advance
from tests.runbook.documents import HEAD

BEGAN = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
RUN = "6f1f0000-0000-4000-8000-000000000000"
ACTION = UUID("6f1f0000-0000-4000-8000-000000000001")
TEXT = (
    HEAD.format(id="one")
    + """
steps:
  - {id: look, kind: query, read: locks, save: storm, redact: [secret]}
  - id: any
    kind: branch
    cases: [{if: storm.count == 0, label: nobody waits, steps: [{id: calm, kind: note, text: calm}]}]
    else: [{id: told, kind: manual, text: tell them}]
  - id: act
    kind: action
    action: setting.set
    with: {name: "'work_mem'", value: "'8MB'"}
    rollback: [{id: undo, kind: action, action: setting.reset, with: {name: "'work_mem'"}}]
  - {id: better, kind: wait_until, read: locks, until: count == 0, timeout: 5s, on_failure: rollback}
"""
)


def recalled(*events: ev.Event, apart: tuple[Apart, ...] = (), by: str = "ann") -> Recalled:
    """A minute between two events, each written by ann's login."""
    first = ev.Started(
        run=RUN, runbook="one", digest="abc", texts={"one": TEXT}, target="shop", params={"n": 1}, facts={},
        by=by, reason="checkout hangs",
    )  # fmt: skip
    run: Run | None = None
    found = []
    for n, event in enumerate((first, *events)):
        run = advance(run, event)
        at = BEGAN + timedelta(minutes=n)
        found.append(Recorded(id=n + 1, at=at, event=event, operator=by, login="ann_login"))
    assert run is not None
    return Recalled(run=run, events=tuple(found), apart=apart)


def entry(number: int, kind: Kind, body: dict[str, Any] | None, key: str | None = None) -> Entry:
    return Entry(
        writer=ACTION, seq=number, kind=kind, action_id=ACTION, parent=UUID(RUN), idempotency_key=key,
        body=None if body is None else canonical_json(body), body_hash=b"", prev=chain.START, link=b"",
        id=number, at=BEGAN + timedelta(seconds=number), witness=b"", db_user="ann_login", peer="", seal=b"",
    )  # fmt: skip


def rows(text: str = "set work_mem", status: str = "applied") -> list[Entry]:
    about = {"action": "setting.set", "target": "shop", "operator": "dba", "reason": "x"}
    return [
        entry(10, Kind.INTENT, {**about, "statements": [text]}, f"{RUN}:act:1"),
        entry(11, Kind.STEP, {**about, "step": 1, "statement": text}),
        entry(
            12,
            Kind.OUTCOME,
            {**about, "status": status, "verify": {"summary": text, "evidence": {text: text}}},
        ),
    ]


def answer(text: str = "x", *, truncated: bool = False) -> dict[str, Any]:
    return {"rows": [{"query": text, "secret": "***", text: 1}], "count": 1, "truncated": truncated}


def whole(text: str = "x") -> list[ev.Event]:
    """With a string of a server or a person wherever one can come."""
    return [
        ev.Begun(step="look"),
        ev.Observed(
            step="look", state="done", summary=text, value=answer(text, truncated=True), warnings=(text,)
        ),
        ev.Chosen(step="any", choice="else", by=text),
        ev.Decided(step="told", question="manual", decision="done", by=text, text=text),
        ev.HandedOver(by="ann", to=text, text=text),
        ev.Resumed(by=text),
        ev.Decided(step="act", question="action", decision="yes", by="ann", text=text),
        ev.Begun(step="act", acts=True),
        ev.Acted(step="act", effect="applied", state="done", summary=text, action_id=str(ACTION)),
        ev.Begun(step="better"),
        ev.Observed(step="better", state="failed", summary=text),
        ev.RollingBack(why=text),
        ev.Begun(step="act~undo", acts=True),
        ev.Acted(step="act~undo", effect="none", state="failed", summary=text),
        ev.Ended(result="rollback_failed", text=text),
    ]  # fmt: skip


def report(text: str = "x") -> Report:
    apart = (Apart(id=99, at=BEGAN, why="late"),)
    return post_mortem(recalled(*whole(text), apart=apart), rows(text))


def test_the_head_says_what_was_run_by_whom_why_and_what_stands() -> None:
    found = report()
    assert (found.by, found.reason, found.digest, found.seconds) == ("ann", "checkout hangs", "abc", 900.0)
    assert (found.result, found.stands) == ("rollback_failed", ("act",))
    assert found.summary[2] == "Effects: 1 stand: act."


def test_the_timeline_has_every_row_by_the_ledgers_clock() -> None:
    found = report()
    assert [one.row for one in found.timeline] == list(range(1, 17))
    assert (found.timeline[2].offset, found.timeline[2].step) == (120.0, "look")
    assert "| 2026-11-26 03:02:00 | +0:02:00 | look |" in markdown(found)


def test_an_effect_has_the_statements_of_its_rows_exactly() -> None:
    text = "set  work_mem = '8MB'\n-- ```\nselect 1"
    found = report(text)
    assert [sent.statements for sent in found.effects[0].sent] == [(text,)]
    assert f"````text\n{text}\n````" in markdown(found)
    assert (found.effects[0].step, found.effects[0].standing) == ("act", "stands")


def test_what_was_planned_and_never_sent_is_told_as_that() -> None:
    found = post_mortem(recalled(*whole()), rows()[:1])
    assert (found.effects[0].status, found.effects[0].sent) == ("its end is not recorded", ())
    assert "no row says that any of it was sent" in markdown(found)


def test_a_cut_off_answer_and_redacted_fields_are_told() -> None:
    found = report()
    evidence = found.evidence[0]
    assert (evidence.truncated, evidence.redacted) == (True, ("secret",))
    assert "look was cut off at 1 rows" in found.not_known
    assert "The answer was cut off" in markdown(found)


def test_ways_that_were_not_taken_are_named() -> None:
    way = report().ways[0]
    assert (way.taken, way.others) == ("none of these", ("nobody waits",))


def test_a_redacted_row_and_a_late_one_are_told() -> None:
    told = post_mortem(
        recalled(*whole(), apart=(Apart(id=99, at=BEGAN, why="redacted"),)),
        [*rows()[:1], entry(11, Kind.STEP, None), *rows()[2:]],
    )
    assert "what row 11 of act said: it was redacted" in told.not_known
    assert told.rows_apart == ("row 99 of 2026-11-26 03:00:00 is redacted",)
    assert "The text of this row is not there any more" in markdown(told)


def test_an_effect_that_was_taken_back_does_not_stand() -> None:
    events = [*whole()[:12], *_taken_back(), ev.Ended(result="rolled_back", text="all of it")]
    found = post_mortem(recalled(*events), rows())
    assert (found.stands, found.effects[0].standing) == ((), "taken back")
    assert found.rolled_back[-1].step == "act~undo"


def _taken_back() -> list[ev.Event]:
    return [
        ev.Begun(step="act~undo", acts=True),
        ev.Acted(step="act~undo", effect="applied", state="done", summary="reset"),
    ]


def test_an_end_that_nobody_knows_is_said_to_be_that() -> None:
    found = post_mortem(recalled(*whole()[:8]), rows(status="unknown"))
    assert (found.result, found.ended, found.effects[0].standing) == ("", None, "nobody knows")
    assert "act: whether it had its effect" in found.not_known
    assert "nobody knows how these ended: act" in found.summary[2]
    assert "NOT ENDED" in html(found)


def test_a_run_that_changed_nothing_says_so() -> None:
    found = post_mortem(recalled(*whole()[:2], ev.Ended(result="ok")), [])
    assert "It changed nothing." in found.summary
    assert "No action was begun" in markdown(found)


def test_who_took_part_is_told_with_the_login_of_the_ledger() -> None:
    people = {one.name: one for one in report("bob").people}
    assert people["ann"].logins == ("ann_login",)
    assert people["ann"].did == ("started it", "handed it over", "decided")
    assert people["bob"].did == ("decided", "went on with it")


def test_documents_that_cannot_be_read_any_more_hide_nothing() -> None:
    found = recalled(*whole())
    started = msgspec.structs.replace(found.run.started, texts={"one": "apiVersion: runbook/v9"})
    old = msgspec.structs.replace(found, run=msgspec.structs.replace(found.run, started=started))
    told = post_mortem(old, rows())
    assert len(told.timeline) == 16
    assert "what the steps are called" in told.not_known[0]


def test_the_same_run_gives_the_same_page() -> None:
    assert (markdown(report()), html(report())) == (markdown(report()), html(report()))
    assert document(report()) == document(report())


# ---- hostile text --------------------------------------------------------------------------------

WORDS = (
    "| ` ``` <script>alert(1)</script> \x1b[2J \\ ](http://x) ![ ** &lt; </td> <!-- --> {{ \ud800 \u202e --- "
    "=== ~~~ ~~ http://evil.example www.evil.example |---| \x00 \x9b"
)
BLANKS = ["\n", "\r\n# x", "1. ", "- ", "# ", "> ", "    x", "\t", "[x]: y", "\u2028"]
HOSTILE = st.sampled_from([*WORDS.split(" "), *BLANKS])
TEXTS = st.lists(HOSTILE, min_size=1, max_size=6).map("".join) | st.text(min_size=1, max_size=30)


class Shape(HTMLParser):
    """The tags of a page with their attributes: what its text may not change."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")


def shape(page: str) -> list[object]:
    found = Shape()
    found.feed(page)
    return found.tags


def tokens(text: str) -> list[tuple[str, str]]:
    """The structure that a reader of Markdown sees: blocks, and what is more than text within them."""
    parser = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    found: list[tuple[str, str]] = []
    for token in parser.parse(text):
        found.append((token.type, token.tag))
        found += [
            (one.type, one.tag) for one in token.children or () if one.type not in ("text", "text_special")
        ]
    return found


SHAPE, TOKENS = shape(html(report())), tokens(markdown(report()))


@settings(max_examples=120, deadline=None)
@given(TEXTS)
@example("<script>alert(1)</script>")
@example("\n\n# Forged\n\n| a | b |\n|---|---|\n")
@example("```\n# out\n```")
def test_no_text_of_a_server_becomes_structure(text: str) -> None:
    found = report(text)
    assert shape(html(found)) == SHAPE
    assert tokens(markdown(found)) == TOKENS


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_no_control_of_a_terminal_comes_out(text: str) -> None:
    found = report(text)
    for page in (markdown(found), html(found)):
        assert page.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["# h", "1. x", "- x", "+ x", "=== x", "> x", "    x", "~~~"])
def test_a_line_that_begins_like_a_block_is_text(text: str) -> None:
    kinds = [token.type for token in MarkdownIt("commonmark").parse(f"before\n\n{mark(text)}\n")]
    assert kinds == ["paragraph_open", "inline", "paragraph_close"] * 2
